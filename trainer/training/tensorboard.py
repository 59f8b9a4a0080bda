"""TensorBoard event files with the metrics of every epoch; TensorBoard's own writer needs no TensorFlow."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from trainer.common.errors import TrainerError

NAME = "tensorboard"


def check_tensorboard() -> None:
    """Check, before a fit starts, that event files can be written.

    Raises:
        TrainerError: the extra ``tensorboard`` is not installed.
    """
    if find_spec("tensorboard") is None:
        raise TrainerError("--tensorboard needs the extra 'tensorboard' (pip install face-authenticity[tensorboard])")


class EventFiles(keras.callbacks.Callback):
    """Write loss, AUC, accuracy, learning rate and seconds of every epoch, for training and validation.

    Args:
        folder: parent of the folders ``training`` and ``validation``; TensorBoard draws both in the same chart.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start timing the epoch."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write one data point per metric."""
        figures = {key: float(value) for key, value in (logs or {}).items()}
        rate = self.model.optimizer.learning_rate
        figures |= {"learning_rate": float(rate), "seconds": time.perf_counter() - self._began}
        for key, value in figures.items():
            subfolder = "validation" if key.startswith("val_") else "training"
            self._add(subfolder, key.removeprefix("val_"), value, epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _add(self, subfolder: str, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if subfolder not in self._writers:
            self._writers[subfolder] = EventFileWriter(str(self._folder / subfolder))
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self._writers[subfolder].add_event(Event(wall_time=time.time(), step=step, summary=summary))
