"""The bound on the queue: a slot for every job, taken at once, waited for, or refused."""

import asyncio
import math
from collections import deque

from service.errors import RequestError
from service.limits import Capacity

# Weight of the newest job in the running mean of the work per job.
_NEWEST_WEIGHT = 0.05


class QueueSlots:
    """Slots for the jobs of one scorer: one for each decode thread, and ``capacity.max_queue`` to wait in.

    All methods run on the event loop.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._taken = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._mean_work_s = 0.0

    @property
    def waiting(self) -> int:
        """Jobs beyond one for each decode thread."""
        return max(0, self._taken - self._capacity.decode_threads)

    @property
    def _full(self) -> bool:
        return self.waiting >= self._capacity.max_queue

    def retry_after_s(self) -> int:
        """Return in how many seconds the queue is likely to be empty, at least 1: for ``Retry-After``."""
        return max(1, math.ceil(self.waiting * self._mean_work_s / self._capacity.decode_threads))

    def check(self) -> None:
        """Refuse one more job where the queue is full.

        Raises:
            RequestError: the queue is full.
        """
        if self._full:
            headers = {"Retry-After": str(self.retry_after_s())}
            limit = self._capacity.max_queue
            raise RequestError("overloaded", f"{self.waiting} pictures wait, which is the limit of {limit}", headers)

    def take(self) -> None:
        """Take a slot.

        Raises:
            RequestError: the queue is full.
        """
        self.check()
        self._taken += 1

    async def wait(self, deadline: float) -> None:
        """Wait for a free slot; used by requests with several pictures.

        Args:
            deadline: by the loop's time; after it the wait ends, with or without a free slot.
        """
        loop = asyncio.get_running_loop()
        while self._full and loop.time() < deadline:
            waiter = loop.create_future()
            self._waiters.append(waiter)
            try:
                async with asyncio.timeout_at(deadline):  # on Python 3.11 wait_for may swallow a cancellation
                    await waiter
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_next()  # this one was woken and is gone
                raise

    def release(self) -> None:
        """Free a slot, and wake the task that has waited longest."""
        self._taken -= 1
        self._wake_next()

    def record_work(self, work_s: float) -> None:
        """Add the processing time of one job, without its waits, to the running mean."""
        self._mean_work_s += _NEWEST_WEIGHT * (work_s - self._mean_work_s) if self._mean_work_s else work_s

    def _wake_next(self) -> None:
        while self._waiters:
            if not (waiter := self._waiters.popleft()).done():
                waiter.set_result(None)
                return
