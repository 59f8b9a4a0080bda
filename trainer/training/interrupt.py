"""Handling of Ctrl-C between two batches while a model is fitted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras


class Interrupt(keras.callbacks.Callback):
    """Raise ``KeyboardInterrupt`` before the next batch after Ctrl-C, or immediately after a second Ctrl-C.

    Raised at an arbitrary point, it could interrupt the clean-up of a checkpoint, or leave a rich console inside
    ``print``, which then prints nothing for the rest of the process.
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
        """Stop the fit if Ctrl-C was pressed."""
        if self.pressed:
            raise KeyboardInterrupt

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop the fit during validation too."""
        self.on_train_batch_begin(batch)


@contextmanager
def between_batches() -> Iterator[Interrupt]:
    """Yield a callback for ``fit`` that handles Ctrl-C; outside the main thread it has no effect."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    previous = signal.signal(signal.SIGINT, interrupt.note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
