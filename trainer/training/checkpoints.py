"""Checkpoints of a fit: the state to resume from and the best epoch so far."""

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
    """Progress of a fit.

    Attributes:
        epoch: number of finished epochs.
        best_epoch: best epoch so far (from 1) by the recipe's ``select``; 0 before the first.
        history: one row per epoch: ``epoch``, Keras's logs, ``seconds``, and ``data_order``, a digest.
        sha256: digests of the stored weights, by epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "RunState":
        """Read the state of a checkpoint folder, or return a new state if there is none.

        Raises:
            TrainerError: the state file is damaged.
        """
        path = folder / STATE
        if not path.exists():
            return cls()
        refusal = f"'{folder}' is damaged and cannot be resumed"
        value = read_json(path, refusal)
        try:
            state = cls(**value)
            types_valid = type(state.epoch) is type(state.best_epoch) is int and isinstance(state.sha256, dict)
            rows = [row for row in state.history if isinstance(row, dict)]
            valid = types_valid and len(rows) == state.epoch and 0 < state.best_epoch <= state.epoch
        except TypeError:
            valid = False
        if not valid:
            raise TrainerError(f"{refusal}: {STATE} is not a valid state")
        return state


def load_checkpoint(folder: Path, state: RunState, epoch: int, *, compiled: bool = True) -> keras.Model:
    """Load the network as saved after an epoch.

    Raises:
        TrainerError: the file is missing, damaged, or was not written by this run.
    """
    path = checkpoint_path(folder, epoch)
    expected = state.sha256.get(str(epoch))  # None in runs of versions that stored no digests
    try:
        digest = file_digest(path)
    except OSError as error:
        raise TrainerError(f"checkpoint '{path}' cannot be read: {error.strerror}") from None
    if expected and digest != expected:
        raise TrainerError(f"checkpoint '{path}' is damaged or was not written by this run: its SHA-256 differs")
    return load_network(path, compiled=compiled)


def load_network(path: Path, *, compiled: bool = True) -> keras.Model:
    """Load a network that Keras saved.

    Raises:
        TrainerError: the file is damaged, or its weights are not finite.
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
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """Return the path of the weights saved after ``epoch``."""
    return folder / f"epoch-{epoch:04d}.keras"


class Checkpoints(keras.callbacks.Callback):
    """Save model, optimizer and state after every epoch; keep the newest and the best.

    The state file names the epoch of its weights and is replaced after they are written, so that a kill at any time
    leaves a consistent pair.
    """

    def __init__(self, run: Run, select: Select, epochs: int, state: RunState, order_digest: Callable[[], str]) -> None:
        """``order_digest`` returns a digest of the data order of the starting epoch, for the history."""
        super().__init__()
        self._folder, self._history, self._select, self._epochs = run.checkpoints, run.history, select, epochs
        self.state = state
        self._order_digest, self._data_order = order_digest, ""
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start timing the epoch."""
        self._started, self._data_order = time.perf_counter(), self._order_digest()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write weights, then state and history."""
        seconds = time.perf_counter() - self._started
        if not finite(self.model):
            raise TrainerError(diverged(epoch + 1))
        figures = {key: float(value) for key, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, **figures, "seconds": round(seconds, 2), "data_order": self._data_order}
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
    """Make dropout depend only on ``(seed, epoch)``, because Keras does not save its generators' states.

    A resumed run therefore draws the same random numbers as an uninterrupted one.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set each generator of the network to its own state."""
        states = [v for layer in self.model.layers for v in layer.variables if v.path.endswith("seed_generator_state")]
        for index, state in enumerate(states):
            drawn = np.random.default_rng((self._seed, epoch, index)).integers(0, 2**31, state.shape)
            state.assign(drawn.astype(state.dtype))


def best_epoch(history: list[dict[str, Any]], select: Select) -> int:
    """Return the best epoch (from 1) by ``select``; ties go to the first, and NaN ranks last."""
    if select == "last":
        return int(history[-1]["epoch"])
    sign = -1 if select == "val_loss" else 1

    def preference(row: dict[str, Any]) -> float:
        return -math.inf if math.isnan(row[select]) else sign * row[select]

    return int(max(history, key=preference)["epoch"])
