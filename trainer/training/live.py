"""Live view of a fit on a terminal: previous epochs, metrics of the current epoch, rate and time left."""

import time
from collections import deque
from typing import Any, Final

import keras
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

_REFRESH_HZ: Final = 4
_MAX_ROWS: Final = 8
# Batches of the current epoch that the rate is averaged over.
_RATE_WINDOW: Final = 50
_COLUMNS: Final = (("loss", "loss"), ("AUC", "auc"), ("accuracy", "accuracy"))


class LiveView(keras.callbacks.Callback):
    """Table of epochs above a progress bar of batches; does nothing if the console is not a terminal.

    Args:
        console: console to print to.
        epochs: number of epochs of the whole fit.
        batch_size: pictures per step.
        history: rows of finished epochs.
    """

    def __init__(self, console: Console, epochs: int, batch_size: int, history: list[dict[str, Any]]) -> None:
        super().__init__()
        self._console, self._epochs, self._batch_size = console, epochs, batch_size
        self._rows = deque(history, maxlen=_MAX_ROWS)
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console)
        self._task = self._bar.add_task("", total=None)
        self._live: Live | None = None
        self._logs: dict[str, float] = {}
        self._batch_ends: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._epoch, self._epoch_began = 0, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the live display."""
        if self._console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self._console, refresh_per_second=_REFRESH_HZ)
            self._live.start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stop the live display; its last state stays on the screen."""
        self.close()

    def close(self) -> None:
        """Stop the live display, however the fit ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Reset the progress bar."""
        self._epoch, self._epoch_began, self._logs = epoch + 1, time.monotonic(), {}
        self._batch_ends.clear()
        self._bar.reset(self._task, total=(self.params or {}).get("steps"), description=f"epoch {epoch + 1}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count a batch."""
        if self._live is None:
            return
        self._batch_ends.append(time.monotonic())
        self._logs = {key: float(value) for key, value in (logs or {}).items()}
        self._bar.update(self._task, completed=batch + 1)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show that validation of this epoch has started."""
        self._bar.update(self._task, description=f"epoch {self._epoch}, validating")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the epoch to the table."""
        seconds = time.monotonic() - self._epoch_began
        self._rows.append({"epoch": epoch + 1, **(logs or {}), "seconds": seconds})

    def render(self) -> Group:
        """Return the current table, progress bar and status."""
        table = Table(
            "epoch", *(f"{name}{suffix}" for name, _ in _COLUMNS for suffix in ("", ", validation")), "seconds"
        )
        for row in self._rows:
            table.add_row(str(row["epoch"]), *_cells(row), f"{row['seconds']:.0f}")
        if self._logs and (not self._rows or self._rows[-1]["epoch"] != self._epoch):
            table.add_row(f"{self._epoch} …", *_cells(self._logs), f"{time.monotonic() - self._epoch_began:.0f}")
        return Group(table, self._bar, self.status())

    def status(self) -> str:
        """Return rate and time left as text."""
        rate = self._rate()
        if rate is None:
            return f"epoch {self._epoch} of {self._epochs}: starting"
        remaining_s = self._remaining_s(rate)
        return (
            f"epoch {self._epoch} of {self._epochs}, {rate:.0f} pictures a second, "
            f"about {_duration_text(remaining_s)} left"
        )

    def _rate(self) -> float | None:
        if len(self._batch_ends) < 2 or self._batch_ends[-1] == self._batch_ends[0]:
            return None
        return (len(self._batch_ends) - 1) * self._batch_size / (self._batch_ends[-1] - self._batch_ends[0])

    def _remaining_s(self, rate: float) -> float:
        steps: float = self._bar.tasks[0].total or 0
        this_epoch_s = max(0.0, steps - self._bar.tasks[0].completed) * self._batch_size / rate
        epoch_seconds: list[float] = [row["seconds"] for row in self._rows] or [steps * self._batch_size / rate]
        return this_epoch_s + (self._epochs - self._epoch) * sum(epoch_seconds) / len(epoch_seconds)


def _cells(row: dict[str, Any]) -> list[str]:
    keys = [prefix + key for _, key in _COLUMNS for prefix in ("", "val_")]
    return [f"{float(row[key]):.4f}" if key in row and row[key] != "" else "" for key in keys]


def _duration_text(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
