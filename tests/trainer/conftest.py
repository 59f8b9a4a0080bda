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

    Training is eager unless told otherwise, and intervals take few resamples; tests that start a process of their own
    run as users do.
    """

    def run(*arguments: object, eager: bool = True) -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "argv", ["trainer", *map(str, arguments)])
            if eager:
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


@pytest.fixture(scope="module")
def telling(write_faces, tmp_path_factory) -> Path:
    """A collection whose fakes are saved at another quality, in which one fake is a near copy of another."""
    root = write_faces(tmp_path_factory.mktemp("data") / "telling", 40, 40)
    for path in (root / "fake").iterdir():
        Image.open(path).save(path, quality=40)
    Image.open(root / "fake" / "000.jpg").resize((120, 120)).save(root / "fake" / "copy.jpg", quality=60)
    shutil.copy(root / "real" / "001.jpg", root / "real" / "again.jpg")
    (root / "real" / "broken.jpg").write_bytes(b"junk")
    return root


@pytest.fixture
def photos(astronaut, tmp_path):
    """A data root: the portrait at several sizes and places, and a meadow without a face."""
    for number, (label, scale) in enumerate((("real", 1.0), ("real", 0.6), ("fake", 0.8), ("fake", 1.4))):
        picture = Image.new("RGB", (700, 620), (90, 120, 90))
        portrait = astronaut.resize((round(512 * scale * 0.8),) * 2)
        picture.paste(portrait, (30 * number, 10 * number))
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "photos" / label / f"{number}.png")
    Image.new("RGB", (300, 300), (90, 120, 90)).save(tmp_path / "photos" / "real" / "meadow.png")
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def shades(tmp_path_factory) -> Path:
    """Real pictures are dark and fake ones bright, as the tiny model has it; two of each are the other way round."""
    root, rng = tmp_path_factory.mktemp("data") / "shades", np.random.default_rng(0)
    for label, low, high in (("real", 20, 110), ("fake", 140, 230)):
        (root / label).mkdir(parents=True)
        for number in range(30):
            middle = rng.integers(low, high) if number > 1 else (250 if label == "real" else 10)
            pixels = rng.normal(middle, 10, (64, 80, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number:02}.png")
    return root


@pytest.fixture(scope="session")
def model(make_model, make_spec, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    path.write_bytes(make_model(make_spec(name="tiny", version="1")))
    return path
