"""Live: what a fit is doing, on a terminal: the epochs before, the figures of this one, rate and time left."""

import time
from collections import deque
from typing import Any, Final

import keras
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

_REFRESH_HZ: Final = 4
_SHOWN: Final = 8
# Of this epoch's batches, the newest that the rate is taken over.
_RECENT: Final = 50
_COLUMNS: Final = (("loss", "loss"), ("AUC", "auc"), ("accuracy", "accuracy"))


class LiveView(keras.callbacks.Callback):
    """A table of epochs above a bar of batches; does nothing where nobody watches.

    Args:
        console: to show it on.
        epochs: of the whole fit.
        batch_size: pictures a step.
        history: rows of epochs that ended before.
    """

    def __init__(self, console: Console, epochs: int, batch_size: int, history: list[dict[str, Any]]) -> None:
        super().__init__()
        self._console, self._epochs, self._batch_size = console, epochs, batch_size
        self._rows = deque(history, maxlen=_SHOWN)
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console)
        self._task = self._bar.add_task("", total=None)
        self._live: Live | None = None
        self._now: dict[str, float] = {}
        self._ends: deque[float] = deque(maxlen=_RECENT)
        self._epoch, self._epoch_began = 0, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin to show it."""
        if self._console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=_REFRESH_HZ)
            self._live.start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the last state on the screen."""
        self.close()

    def close(self) -> None:
        """Stop, whatever ended the fit."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the bar anew."""
        self._epoch, self._epoch_began, self._now = epoch + 1, time.monotonic(), {}
        self._ends.clear()
        self._bar.reset(self._task, total=(self.params or {}).get("steps"), description=f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count a batch."""
        if self._live is None:
            return
        self._ends.append(time.monotonic())
        self._now = {key: float(value) for key, value in (logs or {}).items()}
        self._bar.update(self._task, completed=batch + 1)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Say that the training of this epoch is over."""
        self._bar.update(self._task, description=f"epoch {self._epoch}, validating")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch to the table."""
        seconds = time.monotonic() - self._epoch_began
        self._rows.append({"epoch": epoch + 1, **(logs or {}), "seconds": seconds})

    def render(self) -> Group:
        """Return what is to be seen now."""
        table = Table("epoch", *(f"{name}{what}" for name, _ in _COLUMNS for what in ("", ", validation")), "seconds")
        for row in self._rows:
            table.add_row(str(row["epoch"]), *_figures(row), f"{row['seconds']:.0f}")
        if self._now and (not self._rows or self._rows[-1]["epoch"] != self._epoch):
            table.add_row(f"{self._epoch} …", *_figures(self._now), f"{time.monotonic() - self._epoch_began:.0f}")
        return Group(table, self._bar, self.status())

    def status(self) -> str:
        """Return rate and time left, in words."""
        rate = self._rate()
        if rate is None:
            return f"epoch {self._epoch} of {self._epochs}: starting"
        left = self._seconds_left(rate)
        return f"epoch {self._epoch} of {self._epochs}, {rate:.0f} pictures a second, about {_in_words(left)} left"

    def _rate(self) -> float | None:
        if len(self._ends) < 2 or self._ends[-1] == self._ends[0]:
            return None
        return (len(self._ends) - 1) * self._batch_size / (self._ends[-1] - self._ends[0])

    def _seconds_left(self, rate: float) -> float:
        steps: float = self._bar.tasks[0].total or 0
        of_this = max(0.0, steps - self._bar.tasks[0].completed) * self._batch_size / rate
        whole: list[float] = [row["seconds"] for row in self._rows] or [steps * self._batch_size / rate]
        return of_this + (self._epochs - self._epoch) * sum(whole) / len(whole)


def _figures(row: dict[str, Any]) -> list[str]:
    keys = [prefix + key for _, key in _COLUMNS for prefix in ("", "val_")]
    return [f"{float(row[key]):.4f}" if key in row and row[key] != "" else "" for key in keys]


def _in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
