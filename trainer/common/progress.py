"""Progress bars with rate and time left; silent where nobody watches."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
# Progress goes to standard error, so that standard output stays clean for results.
# What it prints holds names of files and folders, which may look like markup.
console = Console(stderr=True, markup=False, highlight=False)


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items while a bar on standard error shows how far along they are."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)
