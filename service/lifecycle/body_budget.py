"""Arrivals: the bodies that are being received, bounded in bytes together, not in number.

Whoever sends slowly holds next to nothing, so that thousands of such clients keep nobody out; whoever sends much and
then dawdles makes room as soon as somebody needs it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import RequestError


class Arrival:
    """One body on its way."""

    __slots__ = ("_arrivals", "_deadline", "began", "displaced", "received")

    def __init__(self, arrivals: "Arrivals", deadline: asyncio.Timeout) -> None:
        self.began = asyncio.get_running_loop().time()
        self.received = 0
        self.displaced = False
        self._arrivals, self._deadline = arrivals, deadline

    def add(self, count: int) -> None:
        """Count bytes that came.

        Raises:
            RequestError: there is no room for them.
            TimeoutError: this body has given way to another.
        """
        if self.displaced:
            raise TimeoutError
        self._arrivals.make_room(self, count)
        self.received += count

    def burden(self, now: float) -> float:
        """Return what it has cost so far: bytes times the seconds for which it has been under way."""
        return self.received * (now - self.began)

    def displace(self, now: float) -> None:
        """Give up this body: its deadline is now."""
        self.displaced = True
        if not self._deadline.expired():  # else it has just given up by itself
            self._deadline.reschedule(now)


class Arrivals:
    """All bodies on their way.

    Args:
        most_bytes: that they may hold together.
        most_kept: that those of them may hold which stay once they have arrived (:meth:`keep`); default: half.
    """

    def __init__(self, most_bytes: int, most_kept: int | None = None) -> None:
        self._most_bytes = most_bytes
        self._most_kept = most_bytes // 2 if most_kept is None else most_kept
        self._held = self._kept = 0
        self._under_way: set[Arrival] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._under_way)

    @contextmanager
    def receive(self, deadline: asyncio.Timeout) -> Iterator[Arrival]:
        """Count one body from its first byte until it is whole, or given up.

        Args:
            deadline: entered; it is brought forward where the body must make room.
        """
        arrival = Arrival(self, deadline)
        self._under_way.add(arrival)
        try:
            yield arrival
        finally:
            self._forget(arrival)

    @contextmanager
    def keep(self, count: int) -> Iterator[None]:
        """Go on counting a body that has arrived: one of several pictures, which stay until all are scored.

        Raises:
            RequestError: those that stay hold too much already.
        """
        if self._kept + count > self._most_kept:
            raise RequestError(
                "overloaded",
                f"what is being looked at holds {self._kept} bytes of the limit of {self._most_kept}",
                {"Retry-After": "1"},
            )
        self._kept += count
        self._held += count
        try:
            yield
        finally:
            self._kept -= count
            self._held -= count

    def make_room(self, arrival: Arrival, count: int) -> None:
        """Make room for more of one body: those that have been the greatest burden give way.

        Raises:
            RequestError: this one is.
        """
        now = asyncio.get_running_loop().time()
        while self._held + count > self._most_bytes:
            heaviest = max(self._under_way, key=lambda other: other.burden(now))
            if heaviest is arrival or not heaviest.received:
                raise RequestError(
                    "overloaded",
                    f"the bodies under way hold {self._held} bytes of the limit of {self._most_bytes}",
                    {"Retry-After": "1"},
                )
            heaviest.displace(now)
            self._forget(heaviest)
        self._held += count

    def _forget(self, arrival: Arrival) -> None:
        if arrival in self._under_way:
            self._under_way.remove(arrival)
            self._held -= arrival.received
