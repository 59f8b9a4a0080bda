"""Data parallelism over devices and processes, by ``keras.distribution`` on the JAX backend.

One command, started once per host (or per process), each told by the environment how many there
are: ``KERAS_DISTRIBUTION_JOB_ADDRESSES`` (address of process 0), ``KERAS_DISTRIBUTION_NUM_PROCESSES``
and ``KERAS_DISTRIBUTION_PROCESS_ID``. Every process holds the whole network and its share of every
batch, and gradients are averaged after each step, so the result is that of one process, as long as parts
divide among the devices: the last batch of an epoch, and of validation, is cut to what does.
"""

import json
import os
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.common.errors import TrainerError
from trainer.networks.finite import diverged, finite

ADDRESSES, PROCESSES, PROCESS = (
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of every batch is this process's.

    Attributes:
        process: from 0; process 0 alone writes the run folder.
        processes: how many there are.
        devices: of all processes together; a batch must divide among them.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process == 0

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this process's rows of one batch; a last batch is cut to what divides among the devices."""
        whole = len(rows) // self.devices * self.devices
        share = whole // self.processes
        return rows[self.process * share : (self.process + 1) * share]


ALL = Shard()
# What JAX says when another process is gone.
PEER_GONE = ("Gloo", "gloo", "UNAVAILABLE", "heartbeat", "coordination service")


def join(batch_size: int) -> Shard:
    """Join the other processes that the environment names, and use every device; one CPU is :data:`ALL`.

    Args:
        batch_size: pictures a step, over all processes; several views of one are one.

    Raises:
        TrainerError: the environment is incomplete, the backend cannot, or the batch does not divide.
    """
    named = [name for name in (ADDRESSES, PROCESSES, PROCESS) if os.environ.get(name)]
    backend = keras.backend.backend()
    if named and backend != "jax":
        raise TrainerError(f"{named[0]} is set, but several processes need KERAS_BACKEND=jax, not {backend}")
    if backend != "jax":
        return ALL
    if named:
        _initialize(named)
    import jax

    shard = Shard(jax.process_index(), jax.process_count(), jax.device_count())
    if shard.devices == 1:
        return ALL
    if batch_size % shard.devices:
        raise TrainerError(f"a batch of {batch_size} pictures does not divide among {shard.devices} devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return shard


def _initialize(named: list[str]) -> None:
    missing = [name for name in (ADDRESSES, PROCESSES, PROCESS) if name not in named]
    if missing:
        raise TrainerError(f"{named[0]} is set, so {' and '.join(missing)} must be set too")
    try:
        count, process = int(os.environ[PROCESSES]), int(os.environ[PROCESS])
    except ValueError:
        raise TrainerError(f"{PROCESSES} and {PROCESS} are whole numbers") from None
    if not 0 <= process < count:
        raise TrainerError(f"{PROCESS} is {process}, it must be from 0 to {count - 1}")
    keras.distribution.initialize(os.environ[ADDRESSES], count, process)


def agree(shard: Shard, facts: dict[str, Any]) -> None:
    """Make sure that all processes are about to do the same.

    Args:
        shard: of this process.
        facts: JSON values that must be equal everywhere.

    Raises:
        TrainerError: they differ.
    """
    if shard.processes == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    mine = np.array([zlib.crc32(json.dumps(facts, sort_keys=True).encode())], dtype=np.uint32)
    if len(np.unique(process_allgather(mine))) > 1:
        raise TrainerError(f"the processes of this fit differ in data or flags; process {shard.process} has {facts}")


class Follow(keras.callbacks.Callback):
    """Save when process 0 saves, and throw it away.

    Under a distribution, saving is a collective step on JAX: process 0 alone would wait for ever.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take part in the save; or end as process 0 does, which sees the same weights.

        Raises:
            TrainerError: they are not finite any more.
        """
        if not finite(self.model):
            raise TrainerError(diverged(epoch + 1))
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(Path(folder) / "follow.keras")


def alone() -> None:
    """Leave the distribution, so that one process can go on by itself."""
    if keras.distribution.distribution() is not None:
        keras.distribution.set_distribution(None)
