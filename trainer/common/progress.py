"""Progress bars with the time left, shown only on a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
# Standard output is reserved for results.
# Markup is off because file and folder names can look like markup.
console = Console(stderr=True, markup=False, highlight=False)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items and show a progress bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)
