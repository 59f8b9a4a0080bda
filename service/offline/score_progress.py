"""Progress: a bar with rate and time left on a terminal, a line now and then elsewhere; and the sum at the end."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from service.offline.rows import Row

_LINE_EVERY_S = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the files a second."""
        return Text(f"{task.speed:.0f} a second" if task.speed else "")


class Tally:
    """Counts rows and shows how far they are.

    Args:
        done: rows that there were before.
        total: rows that there will be.
    """

    def __init__(self, done: int, total: int) -> None:
        self.verdicts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._began = self._told = time.monotonic()
        self._done, self._before, self._total = done, done, total
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=total, completed=done)

    def add(self, row: Row) -> None:
        """Count one row."""
        self.count(row)
        self._done += 1
        self._bar.advance(self._task)
        if not self._console.is_terminal and time.monotonic() - self._told > _LINE_EVERY_S:
            self._told = time.monotonic()
            left_s = (self._total - self._done) / self.rate if self.rate else 0.0
            self.say(f"{self._done} of {self._total} files, {self.rate:.0f} a second, {left_s:.0f} s left")

    def count(self, row: Row) -> None:
        """Count what became of one file, whenever that was."""
        if "error" in row:
            self.errors[row["error"]["code"]] += 1
        else:
            self.verdicts[row["verdict"]] += 1

    @property
    def rate(self) -> float:
        """Files a second, of this run."""
        return (self._done - self._before) / max(1e-9, time.monotonic() - self._began)

    @property
    def scored(self) -> int:
        """Files of this run."""
        return self._done - self._before

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, markup=False)

    def total(self) -> str:
        """Return the sum, in words."""
        named = ", ".join(f"{self.verdicts[name]} {name}" for name in ("real", "fake", "uncertain"))
        failed = ", ".join(f"{code} {count}" for code, count in sorted(self.errors.items()))
        return named + (f", {self.errors.total()} not scored ({failed})" if failed else "")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
