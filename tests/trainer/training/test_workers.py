"""Batches made by processes of their own: the same pictures, and no process left behind."""

import csv
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from service.contract.faces.face import Face
from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, until
from tests.trainer.flat_batches import flat_batches
from trainer.augment.reencode import make_augment
from trainer.common.errors import WorkerLost
from trainer.data.dataset import scan
from trainer.data.memory_map import received, to_send
from trainer.data.tensors import cache_tensors
from trainer.recipes.recipe import get_recipe
from trainer.training.augmented_pictures import AugmentedPictures
from trainer.training.pipeline import Batches, one_hot
from trainer.training.workers import Workers

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def make_batches(faces, tmp_path):
    recipe = get_recipe("residual-cnn")
    samples = scan([faces]).samples

    def batches(how: dict[str, str], **options) -> Batches:
        return flat_batches(
            cache_tensors(samples, recipe.preprocessing, tmp_path, "served"),
            one_hot(samples, recipe.class_names),
            8,
            larger=cache_tensors(samples, recipe.train_preprocessing, tmp_path, "larger"),
            faces=[Face(60 + number, 60, 90, 110, 0.9) for number in range(len(samples))],
            augment=make_augment(get_recipe("residual-cnn", **how)),
            views=2,
            seed=5,
            **options,
        )

    return batches


@pytest.mark.parametrize(
    "how", [{}, {"augmentation": "classic"}, {"framing": "face"}, {"framing": "face", "augmentation": "none"}]
)
def test_processes_make_the_same_batches_as_threads(make_batches, how):
    here = make_batches(how)
    with closing(make_batches(how, processes=2)) as elsewhere, ThreadPoolExecutor(4) as threads:
        for _ in range(2):
            assert len(here) == len(elsewhere) == 12
            for (images, labels), index in zip(threads.map(elsewhere.__getitem__, range(12)), range(12), strict=True):
                assert np.array_equal(images, here[index][0])
                assert np.array_equal(labels, here[index][1])
            here.on_epoch_end()
            elsewhere.on_epoch_end()


def test_memory_map_is_sent_by_name_and_arrays_by_value(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros((500, 20, 20, 3), np.uint8))
    whole = np.load(tmp_path / "t.npy", mmap_mode="r")
    assert np.array_equal(received(to_send(whole)), whole)
    for value in (whole[1:], np.zeros(3), None, [1]):
        assert to_send(value) is value
        assert received(value) is value
    sent = pickle.dumps(AugmentedPictures(whole, whole))
    assert len(sent) < 2000
    assert isinstance(pickle.loads(sent).larger, np.memmap)  # noqa: S301 (made one line above)


@pytest.fixture
def workers() -> Iterator[Workers]:
    tensors = np.zeros((64, 200, 200, 3), np.uint8)
    with closing(Workers(AugmentedPictures(tensors, tensors), 2)) as both:
        yield both


def started_by(workers: Workers) -> set[multiprocessing.Process]:
    before = set(multiprocessing.active_children())
    assert workers.batch(0, np.arange(4)).shape == (4, 200, 200, 3)
    return set(multiprocessing.active_children()) - before


def errors_of(workers: Workers, threads: int) -> list[Exception]:
    """Return what threads that ask for batches get; a thread that waits without end fails the test, not the suite."""
    errors: list[Exception] = []

    def ask() -> None:
        try:
            workers.batch(0, np.arange(4))
        except Exception as error:
            errors.append(error)

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return errors


def until_lost(workers: Workers) -> None:
    errors = [error for _ in range(3) for error in errors_of(workers, 1)]
    assert errors
    assert all(isinstance(error, WorkerLost) and "killed" in str(error) for error in errors)
    assert workers.lost


def test_a_killed_process_is_a_clear_error(workers):
    first, second = started_by(workers)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    until_lost(workers)
    assert second.is_alive()
    workers.close()
    assert not second.is_alive()


def test_a_process_killed_while_it_sends_is_no_wait_without_end(workers):
    processes = started_by(workers)
    connection = workers._idle.get()
    connection.send((0, np.arange(64)))
    assert connection.poll(60)  # it has begun to send 7.7 MB, more than a pipe takes
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises((EOFError, OSError)):
        connection.recv()
    workers._idle.put(connection)
    until_lost(workers)


def test_worker_errors_are_raised_with_their_traceback(workers):
    started_by(workers)
    with pytest.raises(RuntimeError, match=r"(?s)in _picture.*IndexError: index 64 is out of bounds"):
        workers.batch(0, np.array([64]))
    assert workers.batch(0, np.arange(4)).shape == (4, 200, 200, 3)
    assert not workers.lost


def test_unpicklable_pictures_raise_in_every_thread():
    tensors = np.zeros((4, 8, 8, 3), np.uint8)
    workers = Workers(AugmentedPictures(tensors, tensors, augment=lambda *_: tensors[0]), 1)
    with closing(workers):
        errors = errors_of(workers, 3)
    assert len(errors) == 3
    assert sum(not isinstance(error, WorkerLost) for error in errors) == 1, errors


def test_closed_workers_refuse_and_are_not_lost(workers):
    started_by(workers)
    workers.close()
    with pytest.raises(WorkerLost):
        workers.batch(0, np.arange(4))
    assert not workers.lost


def workers_of(process: int) -> set[int]:
    """Return the spawned children of a process."""
    return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _spawned_by(int(entry.name)) == process}


def _spawned_by(process: int) -> int | None:
    with suppress(OSError):
        if b"--multiprocessing-fork" in Path(f"/proc/{process}/cmdline").read_bytes():
            return int(_stat(process)[1])
    return None


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()


def running(process: int) -> bool:
    with suppress(OSError):
        return _stat(process)[0] != "Z"
    return False


def epochs(run: Path) -> int:
    with suppress(OSError):
        return json.loads((run / "checkpoints" / "state.json").read_text())["epoch"]
    return 0


@pytest.fixture
def start(faces, tmp_path):
    """Return a function that starts a fit by two workers in a session of its own, its standard error in a file."""
    started = []

    def begin(*flags: str) -> subprocess.Popen:
        options = ("--recipe", "residual-cnn", "--batch-size", "8", "--epochs", "40", "--workers", "2", *flags)
        with (tmp_path / "stderr").open("w") as stderr:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "trainer", "fit", str(faces), "--out", str(tmp_path / "run"), *options],
                    env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    start_new_session=True,
                )
            )
        return started[-1]

    yield begin
    for fit in started:
        with suppress(ProcessLookupError):
            os.killpg(fit.pid, signal.SIGKILL)
        fit.wait()


@pytest.mark.long
@needs_proc
def test_ctrl_c_ends_the_fit_with_best_epoch_and_all_workers(start, tmp_path):
    run, fit = tmp_path / "run", start()
    until(lambda: epochs(run) >= 1, fit)
    workers = workers_of(fit.pid)
    assert len(workers) == 2
    os.killpg(fit.pid, signal.SIGINT)  # a terminal sends it to the whole group
    assert fit.wait(PATIENCE) == 0
    said = (tmp_path / "stderr").read_text()
    assert "continuing with the best epoch so far" in said
    assert "Traceback" not in said
    assert not any(running(worker) for worker in workers)
    with (run / "history.csv").open(newline="") as stream:
        assert 1 <= len(list(csv.DictReader(stream))) < 40


@pytest.mark.long
@needs_proc
def test_ctrl_c_as_the_workers_start_shows_no_trace(start, tmp_path):
    fit = start()
    until(lambda: bool(workers_of(fit.pid)), fit)
    os.killpg(fit.pid, signal.SIGINT)
    assert fit.wait(PATIENCE) in (0, 130)
    said = (tmp_path / "stderr").read_text()
    assert "Traceback" not in said
    assert "killed" not in said


@pytest.mark.long
@needs_proc
def test_killed_fit_ends_its_workers_and_vice_versa(start, tmp_path):
    run, fit = tmp_path / "run", start()
    until(lambda: epochs(run) >= 1, fit)
    workers = workers_of(fit.pid)
    fit.kill()
    fit.wait()
    until(lambda: not any(running(worker) for worker in workers))

    before = epochs(run)
    fit = start("--resume")
    until(lambda: epochs(run) > before, fit)
    os.kill(max(workers_of(fit.pid)), signal.SIGKILL)
    assert fit.wait(PATIENCE) == 1
    said = (tmp_path / "stderr").read_text()
    assert "error: a process that augments pictures was killed or did not start" in said
    assert "run the same command with --resume" in said
    assert "Traceback" not in said


# Notes in which epoch each batch was made, and counts those that Keras hands on in another one.
SHOWN_LATE = """
import hashlib, sys
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from trainer.training.pipeline import Batches
from trainer.__main__ import main
made, late, shown = {}, [], []
make, hand_on = Batches.__getitem__, PyDatasetAdapter._standardize_batch
def key(batch): return hashlib.sha256(batch[0].tobytes()).digest()
def noted(self, index):
    batch = make(self, index)
    made[key(batch)] = self._epoch
    return batch
def counted(self, batch):
    if self.py_dataset._order.shuffle:
        shown.append(key(batch))
        late.append(made[shown[-1]] != self.py_dataset._epoch)
    return hand_on(self, batch)
Batches.__getitem__, PyDatasetAdapter._standardize_batch = noted, counted
if __name__ == "__main__":
    try:
        main()
    finally:
        print("late", sum(late), "of", len(late), "distinct", len(set(shown)), file=sys.stderr)
"""


@pytest.mark.long
def test_on_jax_an_epoch_shows_its_own_batches_each_once(faces, tmp_path):
    (tmp_path / "fit.py").write_text(SHOWN_LATE)
    options = ("--recipe", "residual-cnn", "--batch-size", "2", "--epochs", "2", "--workers", "2")
    done = subprocess.run(
        [sys.executable, tmp_path / "fit.py", "fit", faces, "--out", tmp_path / "run", *options],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"late 0 of (\d\d) distinct \1\n", done.stderr), done.stderr
