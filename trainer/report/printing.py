"""Printing: what the command line shows of datasets and results."""

import sys
from typing import TYPE_CHECKING, Any

from trainer.common.progress import console

if TYPE_CHECKING:  # rich's tables and the scan are heavy, and --help needs neither
    from rich.table import Table

    from trainer.data.dataset import Dataset


def print_left_out(dataset: "Dataset") -> None:
    """Name every file left out, with its reason, on standard error."""
    from trainer.data.folders import printable

    for left_out in dataset.rejected:
        console.print(f"left out {printable(str(left_out.path))}: {left_out.reason}", soft_wrap=True)


def print_table(table: "Table") -> None:
    """Print a table, as wide as the terminal or, where there is none, as wide as it needs."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_robustness(result: dict[str, Any]) -> None:
    """Print an assessment's three tiers, how often verdicts flip, and how many drawings get a sure one."""
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
    print(f"verdicts that change over JPEG 50, 70, 90 x scale .5, 1, 2: {rate}")
    if flips["unjudged"]:
        print(f"not compared, for a face too small to be judged: {100 * flips['unjudged']:.1f} %", end="")
        print(f"; with those {100 * flips['rate_with_unjudged']:.1f} % change")
    drawn = result["drawings"]
    print(f"drawings made of {drawn['pictures']} of them that get a sure verdict: {100 * drawn['sure']:.1f} %")
