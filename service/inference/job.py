"""Tickets: one picture's way through the threads, and the one place where its fate is settled."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.framing import FacePolicy
from service.contract.preparation import Prepared
from service.observability.telemetry import Stage, StageName

# A file's bytes, or the pixels of a picture that has been decoded, uint8 ``[H, W, 3]`` RGB.
Payload = bytes | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What stays of a picture once it is a tensor: format by content, size as shown, SHA-256 of its bytes.

    (``RAW`` and SHA-256 of the pixels, where it came as those.) ``provenance`` is what the file says of itself; None
    where nobody asks.
    """

    format: str
    width: int
    height: int
    sha256: str
    provenance: dict[str, Any] | None = None


_ORDER: Final[tuple[StageName, ...]] = get_args(StageName)


class Ticket:
    """A picture that was admitted. Made on the event loop; worked on by one thread after another.

    Its answer is set once: by the work, or by :meth:`refuse`, after which the work is unwanted.

    Args:
        payload: the picture's bytes, or its pixels, uint8 ``[H, W, 3]`` RGB.
        loop: where the answer is awaited.
        policy: what is done about faces.
    """

    __slots__ = (
        "_answer",
        "_loop",
        "_rows",
        "arrived",
        "facts",
        "payload",
        "policy",
        "prepared",
        "stages",
        "unwanted",
    )

    def __init__(self, payload: Payload, loop: asyncio.AbstractEventLoop, policy: FacePolicy) -> None:
        self.payload: Payload = payload
        self.policy = policy
        self.arrived = time.perf_counter()
        self.unwanted = False
        self.facts: ImageFacts
        self.prepared: Prepared
        self.stages: list[Stage] = []
        self._loop = loop
        self._answer: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        self._rows: list[NDArray[np.float32] | None] = []

    async def logits(self) -> NDArray[np.float32]:
        """Wait for the logits: float32 ``[n, 2]``, a row for each of ``prepared.tensors``.

        Raises:
            Exception: what the work failed with, or what :meth:`refuse` was given.
        """
        try:
            return await self._answer
        finally:
            self.unwanted = True  # also where the request itself was cancelled

    @property
    def is_prepared(self) -> bool:
        """Whether there are tensors for the model."""
        return hasattr(self, "prepared")

    def again(self, tensors: NDArray[np.uint8]) -> "Ticket":
        """Return a ticket of the same picture with other tensors, uint8 ``[n, H, W, 3]``; on the event loop."""
        ticket = Ticket(b"", self._loop, self.policy)
        ticket.prepared = replace(self.prepared, tensors=tensors)
        return ticket

    def refuse(self, error: Exception) -> None:
        """Settle the ticket with an error, if it is not settled; on the event loop."""
        self.unwanted, self.payload = True, b""
        if not self._answer.done():
            self._answer.set_exception(error)

    def fail(self, error: Exception) -> None:
        """Settle the ticket with an error, from any thread."""
        self.unwanted = True
        self._on_loop(lambda: self.refuse(error))

    def parts(self, most: int) -> list["Part"]:
        """Return the rows in parts of at most ``most``, each of which waits for the model by itself."""
        tensors = self.prepared.tensors
        starts = range(0, len(tensors), most)
        self._rows = [None] * len(starts)
        return [Part(self, index, tensors[start : start + most]) for index, start in enumerate(starts)]

    def timings_ms(self) -> dict[str, float]:
        """Return the milliseconds in each stage that it went through, and in ``total``; once it is settled.

        Parts may wait and run side by side; such a time counts once.
        """
        total_s = time.perf_counter() - self.arrived
        names = {stage.name for stage in self.stages}
        seconds = {
            name: _covered([stage for stage in self.stages if stage.name == name]) for name in _ORDER if name in names
        }
        return {name: round(spent * 1000, 3) for name, spent in (seconds | {"total": total_s}).items()}

    def _take(self, index: int, rows: NDArray[np.float32], *stages: Stage) -> None:
        self.stages += stages
        self._rows[index] = rows
        self._on_loop(self._settle)

    def _settle(self) -> None:
        # Here, on the event loop, because parts may come from several threads at once.
        rows = [part for part in self._rows if part is not None]
        if len(rows) == len(self._rows) and not self._answer.done():
            self._answer.set_result(rows[0] if len(rows) == 1 else np.concatenate(rows))

    def _on_loop(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self.unwanted = True


class Errand:
    """Work of another kind on the threads that decode: something about a picture that has been scored.

    Args:
        work: what a thread is to call.
        loop: where its result is awaited.
    """

    __slots__ = ("_loop", "_work", "result", "unwanted")

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._work, self._loop = work, loop
        self.result: asyncio.Future[Any] = loop.create_future()
        self.unwanted = False

    def run(self) -> None:
        """Do it, in the thread that it is called from."""
        value: Any = None
        failure: Exception | None = None
        try:
            value = self._work()
        except Exception as error:  # whoever waits must learn of it
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, value, failure)

    def _settle(self, value: Any, failure: Exception | None) -> None:
        if self.result.done():
            return
        if failure is not None:
            self.result.set_exception(failure)
        else:
            self.result.set_result(value)


class Part:
    """Some rows of a ticket; an :class:`service.inference.batcher.Entry`."""

    __slots__ = ("_index", "_ticket", "arrived", "tensors")

    def __init__(self, ticket: Ticket, index: int, tensors: NDArray[np.uint8]) -> None:
        self.tensors = tensors
        self.arrived = 0.0
        self._ticket, self._index = ticket, index

    def unwanted(self) -> bool:
        """Return whether nobody waits for the picture any more."""
        return self._ticket.unwanted

    def deliver(self, logits: NDArray[np.float32], started: float, ended: float) -> None:
        """Hand the rows to the ticket."""
        waited = Stage("queue", self.arrived, started)
        self._ticket._take(self._index, logits, waited, Stage("inference", started, ended))

    def fail(self, error: Exception) -> None:
        """Fail the whole ticket."""
        self._ticket.fail(error)


def _covered(stages: list[Stage]) -> float:
    """Return the seconds in which at least one of some stages went on."""
    covered, until = 0.0, 0.0
    for stage in sorted(stages, key=lambda stage: stage.started):
        covered += max(0.0, stage.ended - max(stage.started, until))
        until = max(until, stage.ended)
    return covered
