"""Batches made by processes of their own: the same pictures, and no process left behind."""

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from trainer.augment import make_augment
from trainer.dataset import scan
from trainer.errors import WorkerLost
from trainer.mapped import received, to_send
from trainer.pictures import Pictures, Workers
from trainer.pipeline import Batches, one_hot
from trainer.recipes import get_recipe
from trainer.tensors import cache_tensors

needs_proc = pytest.mark.skipif(
    not any(Path("/proc/self/task").glob("*/children")), reason="needs Linux lists of child processes"
)


@pytest.fixture
def make_batches(faces, tmp_path):
    recipe = get_recipe("residual-cnn")
    samples = scan([faces]).samples

    def batches(augmentation: str = "reencode", **options) -> Batches:
        return Batches(
            cache_tensors(samples, recipe.preprocessing, tmp_path, "served"),
            one_hot(samples, recipe.class_names),
            8,
            larger=cache_tensors(samples, recipe.train_preprocessing, tmp_path, "larger"),
            augment=make_augment(get_recipe("residual-cnn", augmentation=augmentation)),
            views=2,
            seed=5,
            **options,
        )

    return batches


@pytest.mark.parametrize("augmentation", ["reencode", "classic"])
def test_processes_make_the_batches_that_threads_make_in_every_epoch(make_batches, augmentation):
    here = make_batches(augmentation)
    with closing(make_batches(augmentation, processes=2)) as elsewhere, ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            assert len(here) == len(elsewhere) == 12
            for (images, labels), index in zip(threads.map(elsewhere.__getitem__, range(12)), range(12), strict=True):
                assert np.array_equal(images, here[index][0])
                assert np.array_equal(labels, here[index][1])
            here.on_epoch_end()
            elsewhere.on_epoch_end()


def test_a_mapped_file_is_sent_by_name_and_anything_else_as_it_is(tmp_path):
    np.save(tmp_path / "t.npy", np.arange(12, dtype=np.uint8).reshape(4, 3))
    whole = np.load(tmp_path / "t.npy", mmap_mode="r")
    assert np.array_equal(received(to_send(whole)), whole)
    assert isinstance(received(to_send(whole)), np.memmap)
    for value in (whole[1:], np.zeros(3), None, [1]):
        assert to_send(value) is value
        assert received(value) is value


def test_a_killed_process_is_a_clear_error_and_not_a_wait_without_end():
    tensors = np.zeros((4, 8, 8, 3), np.uint8)
    before = set(multiprocessing.active_children())
    workers = Workers(Pictures(tensors, tensors), 2)
    assert workers.batch(0, np.arange(4)).shape == (4, 8, 8, 3)
    (first, *_) = set(multiprocessing.active_children()) - before
    os.kill(first.pid, signal.SIGKILL)
    first.join()

    def go_on() -> None:
        for _ in range(100):
            workers.batch(0, np.arange(4))

    with pytest.raises(WorkerLost, match="killed"):
        go_on()
    assert workers.lost
    workers.close()


def children(process: int) -> list[int]:
    """Return the children of a process, as Linux lists them by thread."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for line in lists for child in line.read_text().split()]


def ended(processes: list[int]) -> bool:
    """Whether all of them have ended within a minute."""
    deadline = time.monotonic() + 60
    while any(running(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def start(faces: Path, run: Path, *flags: str) -> subprocess.Popen:
    options = ("--recipe", "residual-cnn", "--batch-size", "8", "--workers", "2", "--out", str(run), *flags)
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "fit", str(faces), *options],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(fit: subprocess.Popen, path: Path) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert fit.poll() is None, fit.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_proc
def test_ctrl_c_at_a_terminal_ends_the_fit_with_its_best_epoch_and_every_process(faces, tmp_path):
    run = tmp_path / "run"
    fit = start(faces, run, "--epochs", "40")
    wait_for(fit, run / "checkpoints" / "state.json")
    workers = children(fit.pid)
    assert len(workers) >= 2
    os.killpg(fit.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, error = fit.communicate(timeout=300)
    assert fit.returncode == 0, error
    assert "going on with the best one so far" in error
    assert "Traceback" not in error
    assert (run / "model.onnx").exists()
    with (run / "history.csv").open(newline="") as stream:
        assert 1 <= len(list(csv.DictReader(stream))) < 40
    assert ended(workers)


@needs_proc
def test_processes_end_with_a_fit_that_is_killed_and_a_fit_with_one_that_is_killed(faces, tmp_path):
    run = tmp_path / "run"
    fit = start(faces, run, "--epochs", "40")
    wait_for(fit, run / "checkpoints" / "state.json")
    workers = children(fit.pid)
    fit.kill()
    fit.communicate()
    assert ended(workers)

    fit = start(faces, run, "--epochs", "40", "--resume")
    wait_for(fit, run / "checkpoints" / "epoch-0003.keras")
    os.kill(max(worker for worker in children(fit.pid) if "spawn_main" in command(worker)), signal.SIGKILL)
    _, error = fit.communicate(timeout=300)
    assert fit.returncode == 1
    assert "error: a process that augments pictures was killed" in error
    assert "the same command and --resume" in error
    assert "Traceback" not in error


def command(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()
