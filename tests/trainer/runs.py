"""Runs that are stopped, copied and resumed."""

import errno
from pathlib import Path

import numpy as np
from PIL import Image

OPTIONS = ("--recipe", "meso-4", "--framing", "whole", "--epochs", "2", "--batch-size", "16", "--model-version", "1")


def broken(*_: object) -> None:
    raise OSError(errno.EIO, "the power failed")


def said(capsys) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.replace("\n", " ")


def resume(trainer, data: Path, run: Path) -> int:
    return trainer("fit", data, *OPTIONS, "--out", run, "--resume")


GOOD = np.array([[-0.02, 0.02]] * 3)


def drawn(root: Path, seed: int) -> Path:
    """Draw pictures of which the real ones are dark and the fake ones bright, as the tiny model has it."""
    rng = np.random.default_rng(seed)
    for label, low, high in (("real", 20, 90), ("fake", 160, 230)):
        (root / label).mkdir(parents=True)
        for number in range(40):
            pixels = rng.normal(rng.integers(low, high), 10, (64, 64, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number:02}.png")
    return root
