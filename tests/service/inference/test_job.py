"""Jobs: results from several threads, refusals, abandonment, and times that overlap."""

import asyncio
import threading
import time

import numpy as np
import pytest

from service.contract.faces.framing import FacePolicy
from service.contract.preparation import Prepared
from service.inference.job import Job
from service.observability.telemetry import Stage


def job_of(rows: int) -> Job:
    job = Job(b"picture", asyncio.get_running_loop(), FacePolicy())
    job.prepared = Prepared((), (), np.zeros((rows, 4, 4, 3), np.uint8))
    return job


def test_entries_delivered_by_threads_are_joined_in_order():
    """The rows of a job that was cut into entries come back in the order of its tensors."""

    async def scene() -> np.ndarray:
        job = job_of(5)
        entries = job.batch_entries(2)
        assert [len(entry.tensors) for entry in entries] == [2, 2, 1]
        logits = np.arange(10, dtype=np.float32).reshape(5, 2)
        pieces = [logits[:2], logits[2:4], logits[4:]]
        threads = [
            threading.Thread(target=entry.deliver, args=(piece, 0.0, 1.0))
            for entry, piece in reversed(list(zip(entries, pieces, strict=True)))
        ]
        waiter = asyncio.create_task(job.logits())
        for thread in threads[:2]:
            thread.start()
            thread.join()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiter.done()
        threads[2].start()
        return await waiter

    assert asyncio.run(scene()).tolist() == np.arange(10).reshape(5, 2).tolist()


def test_entries_delivered_at_once_give_one_result():
    """The batcher may deliver the entries of a picture from several threads at the same moment."""

    async def scene(rows: int) -> np.ndarray:
        job = job_of(rows)
        entries, barrier = job.batch_entries(1), threading.Barrier(rows)

        def deliver(entry: object, row: int) -> None:
            barrier.wait()
            entry.deliver(np.full((1, 2), row, np.float32), 0.0, 1.0)

        threads = [threading.Thread(target=deliver, args=(entry, row)) for row, entry in enumerate(entries)]
        for thread in threads:
            thread.start()
        return await job.logits()

    for _ in range(20):
        assert asyncio.run(scene(8))[:, 0].tolist() == list(range(8))


def test_refused_job_is_abandoned_and_frees_its_payload():
    """After a refusal later results are ignored, and the bytes are not kept."""

    async def scene() -> Job:
        errors: list[dict] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        job = job_of(1)
        (entry,) = job.batch_entries(1)
        job.refuse(ValueError("late"))
        entry.deliver(np.zeros((1, 2), np.float32), 0.0, 1.0)
        entry.fail(ValueError("later"))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match=r"late$"):
            await job.logits()
        assert not errors
        return job

    job = asyncio.run(scene())
    assert (job.abandoned, job.payload) == (True, b"")


def test_cancelled_waiter_abandons_its_job():
    """Nobody works for a client that has disconnected, and its bytes are not kept in the queue."""

    async def scene() -> bool:
        job = job_of(1)
        waiter = asyncio.create_task(job.logits())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        return job.abandoned and job.payload == b""

    assert asyncio.run(scene())


def test_timings_count_overlapping_stages_once():
    """Two entries that run side by side for a second take one second of inference."""

    async def scene() -> dict[str, float]:
        job = job_of(1)
        job.arrived = time.perf_counter() - 3
        job.stages = [Stage("inference", 1.0, 2.0), Stage("inference", 1.5, 2.5), Stage("queue", 0.0, 1.0)]
        return job.timings_ms()

    timings = asyncio.run(scene())
    assert list(timings) == ["queue", "inference", "total"]
    assert (timings["queue"], timings["inference"]) == (1000.0, 1500.0)
    assert timings["total"] >= 3000
