"""A fit killed at any moment goes on as if nothing had happened."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import until

pytestmark = pytest.mark.long


def command(faces: Path, run: Path, *flags: str) -> list[str]:
    options = ["--recipe", "residual-cnn", "--epochs", "3", "--batch-size", "8", "--out", str(run)]
    return [sys.executable, "-m", "trainer", "fit", str(faces), *options, *flags]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def killed_when(ready: Callable[[], bool], faces: Path, run: Path, *flags: str) -> None:
    """Start a fit and kill it with SIGKILL as soon as ``ready``."""
    running = subprocess.Popen(
        command(faces, run, *flags), env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    until(ready, running, interval_s=0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def uninterrupted(faces, tmp_path_factory) -> list[dict[str, str]]:
    run = tmp_path_factory.mktemp("runs") / "whole"
    subprocess.run(command(faces, run), env=environment(), capture_output=True, check=True)
    return history(run)


def test_a_fit_killed_four_times_ends_as_the_uninterrupted_one(faces, tmp_path, uninterrupted):
    run = tmp_path / "run"
    checkpoints = run / "checkpoints"
    killed_when(lambda: any((run / "cache").glob("*.npy")), faces, run)
    assert not list(checkpoints.glob("*"))
    killed_when(
        lambda: any(checkpoints.glob(".partial-*0001*")) or (checkpoints / "state.json").exists(),
        faces,
        run,
        "--resume",
    )
    killed_when(lambda: any(checkpoints.glob("epoch-0002*")), faces, run, "--resume")
    killed_when((run / "model.keras").exists, faces, run, "--resume")
    assert not (run / "metrics.json").exists()
    subprocess.run(command(faces, run, "--resume"), env=environment(), capture_output=True, check=True)
    resumed = history(run)
    assert [row["data_order"] for row in resumed] == [row["data_order"] for row in uninterrupted]
    for key in ("loss", "val_loss"):
        expected = [float(row[key]) for row in uninterrupted]
        assert [float(row[key]) for row in resumed] == pytest.approx(expected, rel=0.02)
    assert not list(run.rglob(".partial-*"))
    assert (run / "model.onnx").exists()


def test_fit_killed_while_making_its_folder_blocks_no_rerun(faces, tmp_path):
    run = tmp_path / "run"
    killed_when(lambda: any(tmp_path.glob(".partial-*")) or run.exists(), faces, run)
    if run.exists():  # the rename was quicker than the kill
        assert (run / "config.json").exists()
        assert (run / "split.csv").exists()
        assert (run / "checkpoints").is_dir()
    else:
        subprocess.run(command(faces, run, "--epochs", "1"), env=environment(), capture_output=True, check=True)
        assert (run / "model.onnx").exists()
