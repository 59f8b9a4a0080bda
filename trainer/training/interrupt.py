"""Ctrl-C while a model fits, taken between two batches."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class Interrupt(keras.callbacks.Callback):
    """Raise ``KeyboardInterrupt`` before the next batch once Ctrl-C was pressed; a second one at once.

    Raised wherever it happens to fall, it may cut a checkpoint's clean-up short, or leave a rich
    console inside ``print``, which then shows nothing for the rest of the process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pressed = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT."""
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the fit here if Ctrl-C was pressed."""
        if self.pressed:
            raise KeyboardInterrupt

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the fit in the middle of a validation too."""
        self.on_train_batch_begin(batch)


@contextmanager
def between_batches() -> Iterator[Interrupt]:
    """Yield a callback for ``fit`` that takes Ctrl-C; outside the main thread it never fires."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt.note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
