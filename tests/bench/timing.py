"""Rows of two figures from one run, and their ratio."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; the ratio is ``first / second``."""

    name: str
    first: float
    second: float


def print_table(title: str, columns: tuple[str, str], rows: list[Row]) -> None:
    """Print comparisons with their ratios."""
    table = Table("", *columns, "ratio", title=title)
    for row in rows:
        table.add_row(row.name, f"{row.first:.2f}", f"{row.second:.2f}", f"{row.first / row.second:.2f}")
    Console().print(table)
