"""Fixtures: Pictures whose brightness is their class, and a model of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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
