"""The budget for request bodies: bounded in bytes together, not in number.

A slow client holds next to nothing, so thousands of them keep nobody out. A client that sends much and then stalls is
evicted as soon as the room is needed.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import RequestError


class Body:
    """One request body that is arriving."""

    __slots__ = ("_budget", "_deadline", "evicted", "received", "started")

    def __init__(self, budget: "BodyBudget", deadline: asyncio.Timeout) -> None:
        self.started = asyncio.get_running_loop().time()
        self.received = 0
        self.evicted = False
        self._budget, self._deadline = budget, deadline

    def add(self, count: int) -> None:
        """Count received bytes.

        Raises:
            RequestError: the budget has no room for them.
            TimeoutError: this body was evicted for another.
        """
        if self.evicted:
            raise TimeoutError
        self._budget.make_room(self, count)
        self.received += count

    def cost(self, now: float) -> float:
        """Return the bytes held, times the seconds since the start."""
        return self.received * (now - self.started)

    def evict(self, now: float) -> None:
        """Give up this body: its deadline is now."""
        self.evicted = True
        if not self._deadline.expired():  # it may have timed out a moment ago
            self._deadline.reschedule(now)


class BodyBudget:
    """All request bodies that are in memory.

    Args:
        max_bytes: that they may hold together.
        max_held: of these, for complete bodies that stay until they are scored (:meth:`hold`); default: half.
    """

    def __init__(self, max_bytes: int, max_held: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._max_held = max_bytes // 2 if max_held is None else max_held
        self._total = self._held = 0
        self._arriving: set[Body] = set()

    def __len__(self) -> int:
        """Return the number of bodies that are arriving."""
        return len(self._arriving)

    @contextmanager
    def receive(self, deadline: asyncio.Timeout) -> Iterator[Body]:
        """Count one body from its first byte until it is complete or given up.

        Args:
            deadline: entered; it is brought forward where the body is evicted.
        """
        body = Body(self, deadline)
        self._arriving.add(body)
        try:
            yield body
        finally:
            self._forget(body)

    @contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Count the bytes of a complete body that stays in memory until its pictures are scored.

        Raises:
            RequestError: such bodies hold too much already.
        """
        if self._held + count > self._max_held:
            raise RequestError(
                "overloaded",
                f"complete bodies hold {self._held} bytes of the limit of {self._max_held} (SERVICE_MAX_BUFFERED_MIB)",
                {"Retry-After": "1"},
            )
        self._held += count
        self._total += count
        try:
            yield
        finally:
            self._held -= count
            self._total -= count

    def make_room(self, body: Body, count: int) -> None:
        """Make room for more bytes of one body: the bodies of the highest cost are evicted.

        Raises:
            RequestError: this one has the highest cost.
        """
        now = asyncio.get_running_loop().time()
        while self._total + count > self._max_bytes:
            costliest = max(self._arriving, key=lambda arriving: arriving.cost(now))
            if costliest is body or not costliest.received:
                raise RequestError(
                    "overloaded",
                    f"request bodies hold {self._total} bytes of the limit of {self._max_bytes} "
                    "(SERVICE_MAX_BUFFERED_MIB)",
                    {"Retry-After": "1"},
                )
            costliest.evict(now)
            self._forget(costliest)
        self._total += count

    def _forget(self, body: Body) -> None:
        if body in self._arriving:
            self._arriving.remove(body)
            self._total -= body.received


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What the body of one request may take.

    Attributes:
        max_bytes: of its payload, bytes.
        timeout_s: until it is complete, seconds.
        budget: that it shares with all other bodies.
    """

    max_bytes: int
    timeout_s: float
    budget: BodyBudget
