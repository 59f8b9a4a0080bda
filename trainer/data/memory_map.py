"""Memory-mapped tensors: pages given back, and sent to another process by the name of their file."""

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release(*tensors: NDArray[np.uint8]) -> None:
    """Give the mapped pages of memory-mapped tensors back, so that a process stays small however large they are.

    They stay in the system's page cache while there is room, and nothing written is lost.
    """
    for tensor in tensors:
        if isinstance(tensor.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            tensor.base.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class _Named:
    path: str


def to_send(value: Any) -> Any:
    """Return, of a whole ``.npy`` file that :func:`numpy.load` mapped, its name, which is short; else ``value``."""
    whole = isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap)
    return _Named(str(value.filename)) if whole else value


def received(value: Any) -> Any:
    """Map the file again where :func:`to_send` gave its name; else ``value``."""
    return np.load(value.path, mmap_mode="r") if isinstance(value, _Named) else value
