"""Run state after every epoch: what to resume from, and which epoch was best."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.files import atomic_path, write_json
from trainer.history import write_history
from trainer.progress import console
from trainer.recipes import Select
from trainer.run import Run

STATE = "state.json"


@dataclass(slots=True)
class RunState:
    """How far a fit has come.

    Attributes:
        epoch: epochs finished.
        best_epoch: the epoch (from 1) that the recipe's rule prefers so far; 0 before the first.
        history: one row an epoch: ``epoch``, Keras's logs, ``seconds``, and ``data_order``, a digest.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> "RunState":
        """Read the state of a checkpoint folder; a fresh one where there is none."""
        path = folder / STATE
        return cls(**json.loads(path.read_text("utf-8"))) if path.exists() else cls()


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return where the weights after ``epoch`` are kept."""
    return folder / f"epoch-{epoch:04d}.keras"


class Checkpoints(keras.callbacks.Callback):
    """Save model, optimizer and state after every epoch; keep the newest and the best.

    The state file names the epoch whose weights it belongs to and is replaced after they are
    written, so a kill at any moment leaves a pair that fits together.
    """

    def __init__(self, run: Run, select: Select, epochs: int, state: RunState, order: Callable[[], str]) -> None:
        """``order`` digests the order of the data in the epoch that begins; it is kept in the history."""
        super().__init__()
        self._folder, self._history, self._select, self._epochs = run.checkpoints, run.history, select, epochs
        self.state = state
        self._order, self._this_order = order, ""
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self._started, self._this_order = time.perf_counter(), self._order()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write weights, then state and history."""
        seconds = time.perf_counter() - self._started
        figures = {key: float(value) for key, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **figures, "seconds": round(seconds, 2), "data_order": self._this_order}
        with atomic_path(checkpoint_path(self._folder, epoch + 1)) as temporary:
            self.model.save(temporary)
        history = [*self.state.history, row]
        self.state = RunState(epoch + 1, best_epoch(history, self._select), history)
        write_json(self._folder / STATE, asdict(self.state))
        write_history(self._history, history)
        self._remove_superseded()
        minutes = (self._epochs - epoch - 1) * seconds / 60
        console.print(
            f"epoch {epoch + 1}/{self._epochs}: {seconds:.0f} s, about {minutes:.0f} min left, "
            f"kept so far: epoch {self.state.best_epoch}",
            highlight=False,
        )

    def _remove_superseded(self) -> None:
        keep = {checkpoint_path(self._folder, epoch) for epoch in (self.state.epoch, self.state.best_epoch)}
        for path in self._folder.glob("epoch-*.keras"):
            if path not in keep:
                path.unlink()


class Reseed(keras.callbacks.Callback):
    """Make dropout depend on ``(seed, epoch)`` alone: Keras does not save its generators' states.

    So a resumed run draws what the interrupted one would have drawn.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set every generator of the network to a state of its own."""
        states = [v for layer in self.model.layers for v in layer.variables if v.path.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            drawn = np.random.default_rng((self._seed, epoch, index)).integers(0, 2**31, state.shape)
            state.assign(drawn.astype(state.dtype))


def best_epoch(history: list[dict[str, Any]], select: Select) -> int:
    """Return the epoch (from 1) that the rule prefers; of equals the first, and NaN last of all."""
    if select == "last":
        return int(history[-1]["epoch"])
    sign = -1 if select == "val_loss" else 1

    def preference(row: dict[str, Any]) -> float:
        return -math.inf if math.isnan(row[select]) else sign * row[select]

    return int(max(history, key=preference)["epoch"])
