"""The bound on the queue: refusals, waiters, and the estimate for ``Retry-After``."""

import asyncio

import pytest

from service.errors import RequestError
from service.inference.queue_slots import QueueSlots
from service.limits import Capacity
from tests.serving import PATIENCE


def slots(threads: int = 1, max_queue: int = 2) -> QueueSlots:
    return QueueSlots(Capacity(threads, 1, 1, 0.0, max_queue, 1.0))


def test_slots_beyond_threads_count_as_waiting():
    """A job that a thread can take at once does not wait."""
    taken = slots(threads=2)
    for expected in (0, 0, 1, 2):
        taken.take()
        assert taken.waiting == expected


def test_take_full_queue_is_overloaded():
    """A full queue refuses with its limit and a time to retry."""
    full = slots()
    for _ in range(3):
        full.take()
    with pytest.raises(RequestError) as refused:
        full.take()
    assert (refused.value.code, refused.value.headers) == ("overloaded", {"Retry-After": "1"})
    assert "2 pictures wait, which is the limit of 2" in refused.value.detail
    full.release()
    full.take()


def test_retry_after_grows_with_work_and_queue():
    """Retry-After is the running mean of the work, times the waiting jobs, shared among the threads."""
    busy = slots(threads=2, max_queue=10)
    busy.record_work(4.0)
    busy.record_work(14.0)  # weighs 5 %
    for _ in range(8):
        busy.take()
    assert busy.retry_after_s() == 14  # six wait for 4.5 s each, two at a time


def test_wait_wakes_waiters_in_order():
    """Each freed slot wakes the task that has waited longest."""

    async def scene() -> list[int]:
        full, order = slots(), []
        for _ in range(3):
            full.take()

        async def waiter(number: int) -> None:
            await full.wait(asyncio.get_running_loop().time() + PATIENCE)
            order.append(number)
            full.take()

        tasks = [asyncio.create_task(waiter(number)) for number in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert order == []
        for _ in tasks:
            await asyncio.sleep(0)
            full.release()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(scene()) == [0, 1, 2]


def test_wait_ends_at_deadline_with_queue_full():
    """A waiter gives up at its deadline, and is refused by take."""

    async def scene() -> None:
        full = slots()
        for _ in range(3):
            full.take()
        await full.wait(asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(RequestError):
            full.take()

    asyncio.run(scene())


def test_cancelled_waiter_passes_its_wake_up_on():
    """A waiter that is cancelled after it was woken must not keep the next one waiting."""

    async def scene() -> None:
        full = slots()
        for _ in range(3):
            full.take()
        deadline = asyncio.get_running_loop().time() + PATIENCE

        async def job() -> None:
            await full.wait(deadline)
            full.take()
            full.release()

        first, second = (asyncio.create_task(job()) for _ in range(2))
        await asyncio.sleep(0)
        full.release()
        first.cancel()
        await asyncio.wait_for(second, PATIENCE)

    asyncio.run(scene())
