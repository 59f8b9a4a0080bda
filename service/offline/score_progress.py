"""Progress of a run: a bar on a terminal, a line every few seconds elsewhere, and a summary at the end."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from service.offline.rows import Row

_REPORT_INTERVAL_S = 10.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the rate in files per second."""
        return Text(f"{task.speed:.0f} files/s" if task.speed else "")


class Tally:
    """Count rows and show progress.

    Args:
        done: rows from earlier runs.
        total: rows of the complete output.
    """

    def __init__(self, done: int, total: int) -> None:
        self.verdicts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._started_s = self._reported_s = time.monotonic()
        self._done, self._done_before, self._total = done, done, total
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=total, completed=done)

    def add(self, row: Row) -> None:
        """Count one row."""
        self.count(row)
        self._done += 1
        self._bar.advance(self._task)
        if not self._console.is_terminal and time.monotonic() - self._reported_s > _REPORT_INTERVAL_S:
            self._reported_s = time.monotonic()
            remaining_s = (self._total - self._done) / self.rate if self.rate else 0.0
            self.say(f"{self._done} of {self._total} files, {self.rate:.0f} files/s, {remaining_s:.0f} s left")

    def count(self, row: Row) -> None:
        """Count the verdict or error of one row, also of an earlier run, without showing progress."""
        if "error" in row:
            self.errors[row["error"]["code"]] += 1
        else:
            self.verdicts[row["verdict"]] += 1

    @property
    def rate(self) -> float:
        """Files per second in this run."""
        return (self._done - self._done_before) / max(1e-9, time.monotonic() - self._started_s)

    @property
    def scored(self) -> int:
        """Files scored in this run."""
        return self._done - self._done_before

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, markup=False)

    def summary(self) -> str:
        """Return the counts of verdicts and errors as text."""
        verdicts = ", ".join(f"{self.verdicts[name]} {name}" for name in ("real", "fake", "uncertain"))
        errors = ", ".join(f"{code} {count}" for code, count in sorted(self.errors.items()))
        return verdicts + (f", {self.errors.total()} not scored ({errors})" if errors else "")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
