"""``trainer rank``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.arguments import Elsewhere, Json
from trainer.report.printing import print_left_out, print_table


def rank(
    runs: Annotated[list[Path], typer.Argument(help="Finished run folders on the same data.", metavar="RUN...")],
    elsewhere: Elsewhere = None,
    json_output: Json = False,
) -> None:
    """Rank runs by mean AUC on their validation parts: clean, at JPEG 50, half and double size.

    The test parts are not used. Runs with the same split are ranked on the same pictures; runs with different splits
    show how much the choice of pictures matters.
    """
    from rich.table import Table

    from trainer.data.dataset import scan
    from trainer.recipes.run_config import config_values
    from trainer.release.rank import cells
    from trainer.release.rank import rank as ranked

    dataset = scan(elsewhere, one_class=True, facts=False) if elsewhere else None
    if dataset:
        print_left_out(dataset)
    results = ranked(runs, dataset)
    if json_output:
        values = [{**asdict(row), "config": config_values(row.config), "mean_area": row.mean_area} for row in results]
        print(json.dumps(values, indent=2))
        return
    rows = [cells(row) for row in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns)
    for row in rows:
        table.add_row(*(row.get(name, "–") for name in columns))
    print_table(table)
