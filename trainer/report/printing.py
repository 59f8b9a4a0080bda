"""Terminal output of the command line: files left out, tables, robustness."""

import sys
from typing import TYPE_CHECKING, Any

from trainer.common.progress import console

if TYPE_CHECKING:  # slow imports, not needed for --help
    from rich.table import Table

    from trainer.data.dataset import Dataset


def print_left_out(dataset: "Dataset") -> None:
    """Print every file that was left out, with the reason, to standard error."""
    from trainer.data.folders import printable

    for left_out in dataset.rejected:
        console.print(f"left out {printable(str(left_out.path))}: {left_out.reason}", soft_wrap=True)


def print_table(table: "Table") -> None:
    """Print a table as wide as the terminal, or 200 columns if standard output is not a terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_robustness(result: dict[str, Any]) -> None:
    """Print the tiers, the verdict flip rate and the share of drawings called real or fake."""
    if not result["robustness"]:
        return
    from rich.table import Table

    table = Table("tier", "ROC AUC", "real called fake", "fake called real", "uncertain", "verdict changed")
    keys = ("roc_auc", "real_called_fake", "fake_called_real", "uncertain", "flipped")
    for row in result["robustness"]["conditions"]:
        if row["kind"] == "tier":
            table.add_row(row["name"], *("–" if row[key] is None else f"{row[key]:.3f}" for key in keys))
    print_table(table)
    flips = result["robustness"]["flips"]
    rate = "–" if flips["rate"] is None else f"{100 * flips['rate']:.1f} %"
    print(f"verdict flip rate over JPEG 50, 70, 90 x scale 0.5, 1, 2: {rate}")
    if flips["unjudged"]:
        print(f"excluded, face too small for a verdict: {100 * flips['unjudged']:.1f} %", end="")
        print(f"; flip rate with these: {100 * flips['rate_with_unjudged']:.1f} %")
    drawings = result["drawings"]
    print(f"drawings of {drawings['pictures']} pictures called real or fake: {100 * drawings['sure']:.1f} %")
