"""Readiness: a model that failed is tried again once for all who ask, and a thread that hangs is noticed."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from service.lifecycle import readiness as readiness_module
from service.lifecycle.readiness import Readiness
from tests.serving import PATIENCE

TIMEOUT_S = readiness_module._PROBE_TIMEOUT_S


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    monkeypatch.setattr("service.lifecycle.readiness._PROBE_TIMEOUT_S", PATIENCE)


def scorer(busy_s: float = 0.0, failed: bool = False, warm_up=lambda: None) -> SimpleNamespace:
    pool = SimpleNamespace(longest_busy_s=lambda: busy_s)
    return SimpleNamespace(capacity=SimpleNamespace(deadline_s=10.0), pool=pool, run_failed=failed, warm_up=warm_up)


def test_problem_healthy_scorer_has_none():
    """A scorer whose last run worked is ready without a run."""
    healthy = scorer(warm_up=lambda: pytest.fail("the model ran"))
    assert asyncio.run(Readiness(healthy).problem()) is None


def test_problem_thread_busy_beyond_deadline_is_named():
    """A thread that hangs in a decoder makes the service unready."""
    problem = asyncio.run(Readiness(scorer(busy_s=11)).problem())
    assert "longer than the deadline of 10 s" in problem


def test_problem_failed_run_is_tried_once_for_all_who_ask():
    """Many probes at once cause one run of the model."""
    runs = []
    failed = scorer(failed=True, warm_up=lambda: runs.append(1))

    async def scene() -> list[str | None]:
        readiness = Readiness(failed)
        return list(await asyncio.gather(*(readiness.problem() for _ in range(5))))

    assert asyncio.run(scene()) == [None] * 5
    assert (len(runs), failed.run_failed) == (1, False)


def test_problem_without_a_thread_for_the_try_can_be_asked_again(monkeypatch):
    """A system that has no thread left for a moment must not leave the service unready for good."""
    failed = scorer(failed=True)

    async def scene() -> str | None:
        readiness = Readiness(failed)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread")))
            with pytest.raises(RuntimeError):
                await readiness.problem()
        return await readiness.problem()

    assert asyncio.run(scene()) is None


def test_problem_failing_again_stays_unready():
    """A model that fails its new run keeps the service unready."""
    failed = scorer(failed=True, warm_up=lambda: 1 / 0)
    assert asyncio.run(Readiness(failed).problem()) == "the last inference failed, and so did a new try"
    assert failed.run_failed


def test_problem_slow_try_is_not_waited_for(monkeypatch):
    """A probe is answered within a second, whatever the model does: orchestrators wait that long by default."""
    assert TIMEOUT_S <= 1.0
    monkeypatch.setattr("service.lifecycle.readiness._PROBE_TIMEOUT_S", 0.01)
    release = threading.Event()
    failed = scorer(failed=True, warm_up=lambda: release.wait(PATIENCE))

    async def scene() -> str | None:
        readiness = Readiness(failed)
        problem = await readiness.problem()
        release.set()
        return problem

    assert asyncio.run(scene()) == "the last inference failed, and a new try has not ended yet"
