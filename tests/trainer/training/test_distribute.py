"""Several processes: shards, refusals, and a fit by two that one process could have made."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, free_port, until
from trainer.common.errors import TrainerError
from trainer.training.distribute import ADDRESSES, ALL, PROCESS, PROCESSES, Shard, join


def test_shards_divide_a_batch_without_loss_or_overlap():
    rows = np.arange(12)
    shards = [Shard(process, 3, 6).of(rows) for process in range(3)]
    assert np.concatenate(shards).tolist() == rows.tolist()


def test_a_last_batch_is_cut_to_what_divides():
    assert [Shard(process, 2, 4).of(np.arange(7)).tolist() for process in range(2)] == [[0, 1], [2, 3]]
    assert ALL.of(np.arange(7)).tolist() == list(range(7))


def test_several_processes_need_jax(monkeypatch):
    monkeypatch.setenv(ADDRESSES, "127.0.0.1:1")
    with pytest.raises(TrainerError, match="need KERAS_BACKEND=jax, not tensorflow"):
        join(8)


def test_without_the_environment_one_process_is_all():
    assert join(8) is ALL


def start(run: Path, faces: Path, epochs: int, port: int, process: int | None, *flags: str) -> subprocess.Popen:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(REPOSITORY)}
    if process is not None:
        environment |= {ADDRESSES: f"127.0.0.1:{port}", PROCESSES: "2", PROCESS: str(process)}
    command = [
        "fit",
        faces,
        "--recipe",
        "dilated-cnn-128",
        "--batch-size",
        "8",
        "--epochs",
        epochs,
        "--out",
        run,
        *flags,
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *map(str, command)], env=environment, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def port() -> int:
    return free_port()


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def finish(*running: subprocess.Popen) -> list[str]:
    errors = [process.communicate(timeout=PATIENCE)[1] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), errors
    return errors


@pytest.mark.long
def test_two_processes_equal_one_and_resume_after_a_kill(faces, tmp_path, port):
    single, two = tmp_path / "one", tmp_path / "two"
    finish(start(single, faces, 3, port, None))
    first, second = (start(two, faces, 3, port, process) for process in (0, 1))
    until((two / "checkpoints" / "state.json").exists, first)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    _, error = first.communicate(timeout=PATIENCE)
    assert first.returncode not in (0, None)
    assert "lost its connection to another process" in error.replace("\n", " ")
    assert "run the same command with --resume" in error.replace("\n", " ")
    assert len(history(two)) < 3
    finish(*(start(two, faces, 3, port, process, "--resume") for process in (0, 1)))
    alone, together = history(single), history(two)
    assert [row["data_order"] for row in together] == [row["data_order"] for row in alone]
    losses = [[float(row["loss"]) for row in rows] for rows in (together, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (two / "model.keras").exists()


@pytest.mark.long
def test_processes_that_would_do_different_things_refuse(faces, tmp_path, port):
    run = tmp_path / "run"
    running = [start(run, faces, 1, port, process, "--seed", str(process)) for process in (0, 1)]
    for process in running:
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "the processes of this fit differ in data or flags" in error.replace("\n", " ")
    assert not run.exists()


def test_an_incomplete_environment_is_one_clear_line():
    cases = (
        ({ADDRESSES: "127.0.0.1:1"}, "must be set too"),
        ({ADDRESSES: "127.0.0.1:1", PROCESSES: "2", PROCESS: "2"}, "it must be from 0 to 1"),
        ({ADDRESSES: "127.0.0.1:1", PROCESSES: "two", PROCESS: "0"}, "must be whole numbers"),
    )
    program = (
        "import os\n"
        "from trainer.common.errors import TrainerError\n"
        "from trainer.training import distribute\n"
        f"for settings in {[settings for settings, _ in cases]}:\n"
        "    os.environ.update(settings)\n"
        "    try: distribute.join(8)\n"
        "    except TrainerError as error: print(error)\n"
        "    for name in settings: del os.environ[name]\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    for line, (_, message) in zip(done.stdout.splitlines(), cases, strict=True):
        assert message in line


@pytest.mark.long
def test_fewer_validation_pictures_than_devices_is_an_error(faces, tmp_path):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": str(REPOSITORY),
    }
    options = ("--recipe", "dilated-cnn-128", "--batch-size", "8", "--epochs", "1", "--out", tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "fit", faces, *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "error: 5 validation pictures are too few for 8 devices" in done.stderr
    assert not (tmp_path / "run").exists()
    assert "Traceback" not in done.stderr
