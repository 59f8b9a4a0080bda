"""Fixtures: ``service score`` as a person runs it, and what it leaves."""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def model(make_model, tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model())
    return path


@pytest.fixture
def archive(astronaut, tmp_path) -> Path:
    """Pictures, one twice, beside what is none."""
    folder = tmp_path / "archive"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(5):
        astronaut.resize((64 + number, 64)).save(folder / f"{number}.jpg")
    astronaut.save(folder / "deep" / "er" / "face.PNG")
    shutil.copy(folder / "0.jpg", folder / "deep" / "again.jpg")
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:500])
    (folder / ".hidden.jpg").write_bytes(b"hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.jpg").touch()
    return folder


@pytest.fixture
def many(astronaut, tmp_path) -> Path:
    """Enough pictures for a run to be killed in."""
    folder = tmp_path / "many"
    folder.mkdir()
    astronaut.resize((160, 160)).save(folder / "0000.png")
    for number in range(1, 400):
        os.link(folder / "0000.png", folder / f"{number:04}.png")
    return folder
