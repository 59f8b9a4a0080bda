"""Data parallelism over devices and processes with ``keras.distribution`` on the JAX backend.

The same command is started once per host (or per process), with the environment variables
``KERAS_DISTRIBUTION_JOB_ADDRESSES`` (address of process 0), ``KERAS_DISTRIBUTION_NUM_PROCESSES`` and
``KERAS_DISTRIBUTION_PROCESS_ID``. Every process holds the whole network and its share of every batch, and gradients
are averaged after each step. The result equals that of one process if the sizes of the parts are multiples of the
number of devices; otherwise the last batch of an epoch, and of validation, is cut to such a multiple.
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
    """Share of every batch that belongs to this process.

    Attributes:
        process: index from 0; only process 0 writes the run folder.
        processes: number of processes.
        devices: number of devices of all processes; the batch size must be a multiple of it.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes the run folder."""
        return self.process == 0

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this process's rows of a batch; a last batch is cut to a multiple of the number of devices."""
        divisible = len(rows) // self.devices * self.devices
        share = divisible // self.processes
        return rows[self.process * share : (self.process + 1) * share]


ALL = Shard()
# Fragments of JAX's errors when another process is gone.
PEER_GONE = ("Gloo", "gloo", "UNAVAILABLE", "heartbeat", "coordination service")


def join(batch_size: int) -> Shard:
    """Join the processes configured in the environment and use every device; return :data:`ALL` for one device.

    Args:
        batch_size: pictures per step over all processes; several views of a picture count once.

    Raises:
        TrainerError: the environment is incomplete, the backend does not support several processes, or the batch size
            is not a multiple of the number of devices.
    """
    variables_set = [name for name in (ADDRESSES, PROCESSES, PROCESS) if os.environ.get(name)]
    backend = keras.backend.backend()
    if variables_set and backend != "jax":
        raise TrainerError(f"{variables_set[0]} is set, but several processes need KERAS_BACKEND=jax, not {backend}")
    if backend != "jax":
        return ALL
    if variables_set:
        _initialize(variables_set)
    import jax

    shard = Shard(jax.process_index(), jax.process_count(), jax.device_count())
    if shard.devices == 1:
        return ALL
    if batch_size % shard.devices:
        raise TrainerError(f"batch size {batch_size} is not a multiple of the {shard.devices} devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return shard


def _initialize(variables_set: list[str]) -> None:
    missing = [name for name in (ADDRESSES, PROCESSES, PROCESS) if name not in variables_set]
    if missing:
        raise TrainerError(f"{variables_set[0]} is set, so {' and '.join(missing)} must be set too")
    try:
        count, process = int(os.environ[PROCESSES]), int(os.environ[PROCESS])
    except ValueError:
        raise TrainerError(f"{PROCESSES} and {PROCESS} must be whole numbers") from None
    if not 0 <= process < count:
        raise TrainerError(f"{PROCESS} is {process}; it must be from 0 to {count - 1}")
    keras.distribution.initialize(os.environ[ADDRESSES], count, process)


def agree(shard: Shard, facts: dict[str, Any]) -> None:
    """Check that all processes run with the same settings and data.

    Args:
        shard: share of this process.
        facts: JSON values that must be equal in all processes.

    Raises:
        TrainerError: the values differ.
    """
    if shard.processes == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    digest = np.array([zlib.crc32(json.dumps(facts, sort_keys=True).encode())], dtype=np.uint32)
    if len(np.unique(process_allgather(digest))) > 1:
        raise TrainerError(f"the processes of this fit differ in data or flags; process {shard.process} has {facts}")


class Follow(keras.callbacks.Callback):
    """Take part in the saves of process 0 and discard the files.

    Saving a distributed model is a collective operation on JAX: process 0 would wait forever without the others.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take part in the save, or stop if training diverged; process 0 sees the same weights and stops too.

        Raises:
            TrainerError: the weights are not finite.
        """
        if not finite(self.model):
            raise TrainerError(diverged(epoch + 1))
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(Path(folder) / "follow.keras")


def leave_distribution() -> None:
    """Leave the distribution, so that one process can continue on its own."""
    if keras.distribution.distribution() is not None:
        keras.distribution.set_distribution(None)
