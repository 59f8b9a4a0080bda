"""Memory-mapped tensors: release their pages, and send them to another process as a file name."""

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release(*tensors: NDArray[np.uint8]) -> None:
    """Release the mapped pages of memory-mapped tensors, so that resident memory stays small however large they are.

    The pages stay in the page cache of the system while there is room. Written data is not lost.
    """
    for tensor in tensors:
        if isinstance(tensor.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            tensor.base.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class _MappedFile:
    path: str


def to_send(value: Any) -> Any:
    """Return the file name of an array that :func:`numpy.load` mapped from a whole ``.npy`` file; else ``value``."""
    is_whole_file = isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap)
    return _MappedFile(str(value.filename)) if is_whole_file else value


def received(value: Any) -> Any:
    """Map the file whose name :func:`to_send` returned; return any other ``value`` unchanged."""
    return np.load(value.path, mmap_mode="r") if isinstance(value, _MappedFile) else value
