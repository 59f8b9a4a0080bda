"""Jobs: pictures that wait for a thread and for a run of the model, and where their results are awaited."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.framing import FacePolicy
from service.contract.preparation import Prepared
from service.observability.telemetry import Stage, StageName

# The bytes of a file, or decoded pixels, uint8 ``[H, W, 3]`` RGB.
Payload = bytes | NDArray[np.uint8]
_STAGE_ORDER: Final[tuple[StageName, ...]] = get_args(StageName)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an answer says about the picture itself.

    Attributes:
        format: by content; ``RAW`` for decoded pixels.
        width: columns as shown, pixels.
        height: rows as shown, pixels.
        sha256: of the file's bytes, or of the pixels, hexadecimal.
        provenance: what the file says of its origin; None where provenance is off or the picture came as pixels.
    """

    format: str
    width: int
    height: int
    sha256: str
    provenance: dict[str, Any] | None = None


class Job:
    """One picture. Created on the event loop; processed by one thread after another.

    The result is set once: by the threads, or by :meth:`refuse`, after which the job is abandoned.

    Args:
        payload: the bytes of the picture, or its pixels, uint8 ``[H, W, 3]`` RGB.
        loop: where the result is awaited.
        policy: how faces are treated.
    """

    __slots__ = (
        "_loop",
        "_result",
        "_rows",
        "abandoned",
        "arrived",
        "facts",
        "payload",
        "policy",
        "prepared",
        "stages",
    )

    def __init__(self, payload: Payload, loop: asyncio.AbstractEventLoop, policy: FacePolicy) -> None:
        self.payload: Payload = payload
        self.policy = policy
        self.arrived = time.perf_counter()
        self.abandoned = False
        self.facts: ImageFacts
        self.prepared: Prepared
        self.stages: list[Stage] = []
        self._loop = loop
        self._result: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        self._rows: list[NDArray[np.float32] | None] = []

    async def logits(self) -> NDArray[np.float32]:
        """Wait for the logits: float32 ``[n, 2]``, one row for each of ``prepared.tensors``.

        Raises:
            Exception: what processing failed with, or what :meth:`refuse` was given.
        """
        try:
            return await self._result
        finally:
            self.abandoned, self.payload = True, b""  # also where the request was cancelled

    @property
    def is_prepared(self) -> bool:
        """Whether the tensors for the model exist."""
        return hasattr(self, "prepared")

    def with_tensors(self, tensors: NDArray[np.uint8]) -> "Job":
        """Return a job for the same picture with other tensors, uint8 ``[n, H, W, 3]``; on the event loop."""
        job = Job(b"", self._loop, self.policy)
        job.prepared = replace(self.prepared, tensors=tensors)
        return job

    def refuse(self, error: Exception) -> None:
        """Set an error as the result unless there is a result; on the event loop."""
        self.abandoned, self.payload = True, b""
        if not self._result.done():
            self._result.set_exception(error)

    def fail(self, error: Exception) -> None:
        """Set an error as the result, from any thread."""
        self.abandoned = True
        self._on_loop(lambda: self.refuse(error))

    def batch_entries(self, max_rows: int) -> list["JobRows"]:
        """Return the tensors as entries of at most ``max_rows`` rows, each of which waits for the model by itself."""
        tensors = self.prepared.tensors
        starts = range(0, len(tensors), max_rows)
        self._rows = [None] * len(starts)
        return [JobRows(self, index, tensors[start : start + max_rows]) for index, start in enumerate(starts)]

    def timings_ms(self) -> dict[str, float]:
        """Return the milliseconds spent in each stage and in ``total``, once there is a result.

        Entries may wait and run in parallel; overlapping time counts once.
        """
        total_s = time.perf_counter() - self.arrived
        names = {stage.name for stage in self.stages}
        seconds = {
            name: _union_s([stage for stage in self.stages if stage.name == name])
            for name in _STAGE_ORDER
            if name in names
        }
        return {name: round(spent * 1000, 3) for name, spent in (seconds | {"total": total_s}).items()}

    def deliver(self, index: int, rows: NDArray[np.float32], *stages: Stage) -> None:
        """Take the logits of one entry, from any thread."""
        self.stages += stages
        self._rows[index] = rows
        self._on_loop(self._set_result)

    def _set_result(self) -> None:
        # On the event loop, because entries may be delivered by several threads at once.
        rows = [logits for logits in self._rows if logits is not None]
        if len(rows) == len(self._rows) and not self._result.done():
            self._result.set_result(rows[0] if len(rows) == 1 else np.concatenate(rows))

    def _on_loop(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            self.abandoned = True


class JobRows:
    """Some tensors of a job; a :class:`service.inference.batcher.Entry`."""

    __slots__ = ("_index", "_job", "arrived", "tensors")

    def __init__(self, job: Job, index: int, tensors: NDArray[np.uint8]) -> None:
        self.tensors = tensors
        self.arrived = 0.0
        self._job, self._index = job, index

    def abandoned(self) -> bool:
        """Return whether nobody waits for the picture any more."""
        return self._job.abandoned

    def deliver(self, logits: NDArray[np.float32], started: float, ended: float) -> None:
        """Hand the logits to the job."""
        stages = Stage("queue", self.arrived, started), Stage("inference", started, ended)
        self._job.deliver(self._index, logits, *stages)

    def fail(self, error: Exception) -> None:
        """Fail the whole job."""
        self._job.fail(error)


def _union_s(stages: list[Stage]) -> float:
    """Return the seconds in which at least one of the stages was going on."""
    covered, until = 0.0, 0.0
    for stage in sorted(stages, key=lambda stage: stage.started):
        covered += max(0.0, stage.ended - max(stage.started, until))
        until = max(until, stage.ended)
    return covered
