"""Run state after every epoch: what to resume from, and which epoch was best."""

import hashlib
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, write_json
from trainer.common.history import write_history
from trainer.common.progress import console
from trainer.common.run import Run, read_json
from trainer.networks.finite import diverged, finite
from trainer.recipes.recipe import Select

STATE = "state.json"


@dataclass(slots=True)
class RunState:
    """How far a fit has come.

    Attributes:
        epoch: epochs finished.
        best_epoch: the epoch (from 1) that the recipe's rule prefers so far; 0 before the first.
        history: one row an epoch: ``epoch``, Keras's logs, ``seconds``, and ``data_order``, a digest.
        sha256: of the weights that are kept, by epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "RunState":
        """Read the state of a checkpoint folder; a fresh one where there is none.

        Raises:
            TrainerError: it is damaged.
        """
        path = folder / STATE
        if not path.exists():
            return cls()
        damaged = f"'{folder}' is damaged and cannot be gone on from"
        value = read_json(path, damaged)
        try:
            state = cls(**value)
            numbers = type(state.epoch) is type(state.best_epoch) is int and isinstance(state.sha256, dict)
            rows = [row for row in state.history if isinstance(row, dict)]
            whole = numbers and len(rows) == state.epoch and 0 < state.best_epoch <= state.epoch
        except TypeError:
            whole = False
        if not whole:
            raise TrainerError(f"{damaged}: {STATE} is not the state of a fit")
        return state


def load_checkpoint(folder: Path, state: RunState, epoch: int, *, compiled: bool = True) -> keras.Model:
    """Return the network after an epoch.

    Raises:
        TrainerError: its file is gone, damaged, or not the one that this run wrote.
    """
    path = checkpoint_path(folder, epoch)
    expected = state.sha256.get(str(epoch))  # none in runs from before they were kept
    try:
        found = file_digest(path)
    except OSError as error:
        raise TrainerError(f"checkpoint '{path}' cannot be read: {error.strerror}") from None
    if expected and found != expected:
        raise TrainerError(f"checkpoint '{path}' is not the one that this run wrote: damaged, or another's")
    return load_network(path, compiled=compiled)


def load_network(path: Path, *, compiled: bool = True) -> keras.Model:
    """Return a network that Keras saved.

    Raises:
        TrainerError: it is damaged, or holds weights that are not finite.
    """
    try:
        model = keras.models.load_model(path, compile=compiled)
    except (ValueError, TypeError, KeyError, OSError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise TrainerError(f"'{path}' cannot be loaded: {(str(error).splitlines() or ['damaged'])[0]}") from None
    if not finite(model):
        raise TrainerError(f"'{path}' holds weights that are not finite: the training diverged")
    return model


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        if not finite(self.model):
            raise TrainerError(diverged(epoch + 1))
        figures = {key: float(value) for key, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **figures, "seconds": round(seconds, 2), "data_order": self._this_order}
        with atomic_path(checkpoint_path(self._folder, epoch + 1)) as temporary:
            self.model.save(temporary)
        history = [*self.state.history, row]
        best = best_epoch(history, self._select)
        digests = {**self.state.sha256, str(epoch + 1): file_digest(checkpoint_path(self._folder, epoch + 1))}
        kept = {key: digest for key, digest in digests.items() if int(key) in (best, epoch + 1)}
        self.state = RunState(epoch + 1, best, history, kept)
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
