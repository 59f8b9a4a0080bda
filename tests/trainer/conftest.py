"""Small data folders made from a public-domain portrait."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.runs import OPTIONS, broken
from trainer.__main__ import main

Files = Callable[..., Path]


@pytest.fixture(scope="session")
def write_faces(astronaut) -> Files:
    """Return a function that writes a data root: real are crops of a portrait, fake are crops with a grid on them."""

    def write(root: Path, real: int = 24, fake: int = 24, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for label, count in (("real", real), ("fake", fake)):
            folder = root / label
            folder.mkdir(parents=True)
            for number in range(count):
                left, top = rng.integers(120, 220), rng.integers(0, 80)
                crop = np.array(astronaut.crop((left, top, left + 160, top + 160)))
                if label == "fake":
                    crop[::4] = crop[::4] // 2
                Image.fromarray(crop).save(folder / f"{number:03}.jpg", quality=92)
        return root

    return write


@pytest.fixture(scope="session")
def faces(write_faces, tmp_path_factory) -> Path:
    """One data root with 24 real and 24 fake pictures."""
    return write_faces(tmp_path_factory.mktemp("data") / "faces")


def _train_eagerly(patched: pytest.MonkeyPatch) -> None:
    """Let Keras train step by step: tracing a graph takes longer than the few steps of a test."""
    import keras  # not above: it sets TensorFlow's log level, which trainer.__main__ is to set first

    compile_network = keras.Model.compile

    def compile_eagerly(network: keras.Model, *arguments: object, **options: object) -> None:
        compile_network(network, *arguments, **{**options, "run_eagerly": True})

    # Where it is defined: Keras does not compile a network that it loads if a subclass has a compile of its own.
    owner = next(base for base in keras.Model.__mro__ if "compile" in vars(base))
    patched.setattr(owner, "compile", compile_eagerly)


@pytest.fixture(scope="session")
def trainer() -> Callable[..., int]:
    """Return a function that runs the command line in this process and gives its exit status.

    Training is eager and intervals take few resamples; tests that start a process of their own run as users do.
    """

    def run(*arguments: object) -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "argv", ["trainer", *map(str, arguments)])
            _train_eagerly(patched)
            patched.setattr("trainer.common.stats.RESAMPLES", 20)
            try:
                main()
            except SystemExit as ended:
                return int(ended.code or 0)
        return 0

    return run


@pytest.fixture(scope="session")
def fitted(trainer, faces, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "2", "--batch-size", "16", "--out", run)
    assert trainer("fit", faces, *options) == 0
    return run


@pytest.fixture(scope="session")
def data(write_faces, tmp_path_factory) -> Path:
    return write_faces(tmp_path_factory.mktemp("attacked") / "faces", real=20, fake=20, seed=4)


@pytest.fixture(scope="session")
def stopped(trainer, data, tmp_path_factory) -> Path:
    """A run that broke off once its epochs were done: everything to go on from is there."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trainer.training.fit._keep_best", broken)
        assert trainer("fit", data, *OPTIONS, "--out", run) == 1
    assert (run / "checkpoints" / "state.json").exists()
    return run


@pytest.fixture(scope="session")
def finished(trainer, data, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    assert trainer("fit", data, *OPTIONS, "--out", run) == 0
    return run


@pytest.fixture
def copied(tmp_path):
    def copy(run: Path) -> Path:
        return Path(shutil.copytree(run, tmp_path / "run"))

    return copy
