"""Micro-batches: who shares a run, who waits, and who learns of a failure."""

import threading
import time

import numpy as np
import pytest

from service.inference.batcher import Batcher
from tests.serving import PATIENCE


class Entry:
    """Rows of one value; keeps what comes back."""

    def __init__(self, value: int, rows: int = 1) -> None:
        self.tensors = np.full((rows, 2, 2, 3), value, np.uint8)
        self.arrived = 0.0
        self.gone = False
        self.logits: np.ndarray | None = None
        self.error: Exception | None = None
        self.settled = threading.Event()

    def abandoned(self) -> bool:
        return self.gone

    def deliver(self, logits, started, ended) -> None:
        assert self.arrived <= started <= ended
        self.logits = logits
        self.settled.set()

    def fail(self, error) -> None:
        self.error = error
        self.settled.set()


class Model:
    """Answers each row with its own value, counts its runs, and can be held up."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []
        self.open = threading.Event()
        self.open.set()
        self.started = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        with self._lock:
            self.runs.append(images[:, 0, 0, 0].tolist())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.started.release()
        assert self.open.wait(PATIENCE)
        with self._lock:
            self.at_once -= 1
        if 13 in images:
            raise ValueError("unlucky")
        return images[:, 0, 0, :2].astype(np.float32)


@pytest.fixture
def model() -> Model:
    return Model()


def batcher(model: Model, max_batch: int = 4, window_s: float = 0.0, in_flight: int = 1) -> Batcher:
    return Batcher(model, max_batch, window_s, in_flight, lambda _: None)


def held_up(model: Model, batcher: Batcher) -> threading.Thread:
    """Begin a run that lasts until ``model.open`` is set."""
    model.open.clear()
    thread = threading.Thread(target=batcher.submit, args=([Entry(0)],))
    thread.start()
    assert model.started.acquire(timeout=PATIENCE)
    return thread


def test_single_entry_runs_at_once_in_its_own_thread(model):
    entry = Entry(7)
    batcher(model).submit([entry])
    assert entry.logits.tolist() == [[7, 7]]
    assert model.runs == [[7]]


def test_what_came_while_a_run_was_under_way_shares_the_next(model):
    shared = batcher(model)
    first = held_up(model, shared)
    entries = [Entry(value) for value in (1, 2, 3)]
    for entry in entries:
        shared.submit([entry])
    assert len(shared._waiting) == 3
    model.open.set()
    first.join()
    assert model.runs == [[0], [1, 2, 3]]
    assert [entry.logits.tolist() for entry in entries] == [[[1, 1]], [[2, 2]], [[3, 3]]]
    assert len(shared._waiting) == 0


def test_no_run_has_more_rows_than_allowed_and_no_entry_is_split(model):
    shared = batcher(model)
    first = held_up(model, shared)
    for rows in (3, 2, 2, 4):
        shared.submit([Entry(rows, rows)])
    model.open.set()
    first.join()
    assert model.runs == [[0], [3, 3, 3], [2, 2, 2, 2], [4, 4, 4, 4]]


def test_a_failed_run_reaches_everyone_in_it_and_nobody_else(model):
    shared = batcher(model, max_batch=2)
    first = held_up(model, shared)
    entries = [Entry(value) for value in (13, 1, 2, 3)]
    for entry in entries:
        shared.submit([entry])
    model.open.set()
    first.join()
    assert [str(entry.error) for entry in entries] == ["unlucky", "unlucky", "None", "None"]
    assert [entry.logits is not None for entry in entries] == [False, False, True, True]


def test_what_nobody_waits_for_is_not_run(model):
    shared = batcher(model)
    first = held_up(model, shared)
    entries = [Entry(value) for value in (1, 2, 3)]
    for entry in entries:
        shared.submit([entry])
    entries[0].gone = entries[2].gone = True
    model.open.set()
    first.join()
    assert model.runs == [[0], [2]]


def test_entries_that_are_all_gone_cost_no_run(model):
    shared = batcher(model)
    entry = Entry(1)
    entry.gone = True
    shared.submit([entry])
    assert model.runs == []
    shared.submit([Entry(2)])
    assert model.runs == [[2]]


def test_window_opens_at_first_entry_and_gathers_until_closed(model):
    shared = batcher(model, max_batch=8, window_s=2.0)
    entries = [Entry(value) for value in (1, 2)]
    shared.submit([entries[0]])
    shared.submit([entries[1]])
    assert model.runs == []
    assert entries[1].settled.wait(PATIENCE)
    assert model.runs == [[1, 2]]
    assert time.perf_counter() - entries[0].arrived >= 2.0


def test_a_full_batch_does_not_wait_for_its_window(model):
    shared = batcher(model, max_batch=2, window_s=60)
    shared.submit([Entry(1)])
    shared.submit([Entry(2)])
    assert model.runs == [[1, 2]]


def test_what_a_full_batch_left_over_waits_for_its_own_window(model):
    shared = batcher(model, max_batch=3, window_s=2.0)
    late = Entry(3, 2)
    shared.submit([Entry(1), Entry(2)])
    shared.submit([late])  # full: the first two run, the third has no room
    assert model.runs == [[1, 2]]
    assert late.settled.wait(PATIENCE)
    assert model.runs == [[1, 2], [3, 3]]
    assert time.perf_counter() - late.arrived >= 2.0


def test_entries_that_come_together_wait_together(model):
    """Else a thread that runs others' batches in between could keep the rest of its own picture back for ever."""
    shared = batcher(model, max_batch=2)
    first = held_up(model, shared)
    many, small = [Entry(1, 2), Entry(2, 2), Entry(3, 2)], Entry(4, 2)
    shared.submit(many)
    shared.submit([small])
    model.open.set()
    first.join()
    assert model.runs == [[0], [1, 1], [2, 2], [3, 3], [4, 4]]


def test_where_no_thread_can_watch_a_window_nothing_waits_for_it(model, monkeypatch):
    def refuses(_) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", refuses)
    batcher(model, window_s=60).submit([Entry(5)])
    assert model.runs == [[5]]


@pytest.mark.parametrize(("window_s", "in_flight"), [(0.0, 1), (0.0, 3), (0.002, 2)])
def test_from_many_threads_everyone_gets_their_own_rows(model, window_s, in_flight):
    shared = batcher(model, max_batch=5, window_s=window_s, in_flight=in_flight)
    entries = [Entry(value % 12, 1 + value % 5) for value in range(400)]

    def bring(some: list[Entry]) -> None:
        for entry in some:
            shared.submit([entry])

    threads = [threading.Thread(target=bring, args=(entries[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for entry in entries:
        assert entry.settled.wait(PATIENCE)
        assert entry.error is None
        assert (entry.logits == entry.tensors[0, 0, 0, 0]).all()
        assert len(entry.logits) == len(entry.tensors)
    assert max(map(len, model.runs)) <= 5
    assert model.most_at_once <= in_flight
    assert sum(map(len, model.runs)) == sum(len(entry.tensors) for entry in entries)
