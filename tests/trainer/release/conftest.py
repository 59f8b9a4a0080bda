"""Fixtures: a run, and runs whose model is a tiny one of known quality."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.runs import GOOD, drawn


@pytest.fixture(scope="session")
def shades(tmp_path_factory) -> Path:
    return drawn(tmp_path_factory.mktemp("data") / "shades", 0)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory) -> Path:
    return drawn(tmp_path_factory.mktemp("data") / "others", 1)


@pytest.fixture(scope="session")
def fitted(trainer, shades, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "1", "--batch-size", "16", "--out", run)
    assert trainer("fit", shades, *options, "--model-version", "9") == 0
    return run


@pytest.fixture
def run_with(fitted, make_model, make_spec, tmp_path):
    """Return a function that makes a run whose model file is a tiny one of known quality."""

    def made(version: str, weights: np.ndarray = GOOD, **changes: object) -> Path:
        folder = tmp_path / f"run-{version}"
        shutil.copytree(fitted, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"version": version}))
        fields = {"name": "residual-cnn", "version": version, "dataset_fingerprint": config["dataset"]["fingerprint"]}
        fields |= {"temperature": 0.2, "threshold_real": 0.4, "threshold_fake": 0.6}
        (folder / "model.onnx").write_bytes(make_model(make_spec(**(fields | changes)), weights=weights))
        return folder

    return made
