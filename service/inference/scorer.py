"""Scorer: bytes to a verdict, through a bounded queue, decode threads and micro-batches."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.finder import face_finder
from service.contract.faces.framing import FacePolicy
from service.contract.faces.yunet import FinderError
from service.contract.image.decode import as_decoded, decode
from service.contract.image.image_errors import Limits
from service.contract.preparation import find_faces, prepare
from service.contract.verdict.judgement import Judgement, judge
from service.errors import RequestError
from service.inference.batcher import Batcher
from service.inference.decode_pool import DecodePool
from service.inference.engine import Engine, InferenceError
from service.inference.job import ImageFacts, Job, Payload
from service.inference.queue_slots import QueueSlots
from service.limits import Capacity
from service.observability.telemetry import Stage
from service.provenance.content_credentials import Provenance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scored:
    """One scored picture: its judgement and facts, the milliseconds of each stage and in ``total``, and the stages."""

    judgement: Judgement
    image: ImageFacts
    timings_ms: dict[str, float]
    stages: list[Stage]


class Scorer:
    """Scores pictures with one engine; nothing heavy runs on the event loop.

    A job waits in one queue for one of ``capacity.decode_threads`` threads. The thread decodes the picture, finds its
    faces and, where a run of the model is free, runs it; otherwise the tensors wait in the batcher.

    Args:
        engine: the model.
        limits: what the decoder refuses.
        policy: how faces are treated.
        capacity: how much is processed at once.
        observe_batch: called with the number of rows of each run.
        provenance: reads what a file says of its origin; None: off.

    Attributes:
        engine: the model.
        policy: how faces are treated.
        capacity: how much is processed at once.
        slots: the bound on the queue.
        pool: the decode threads.
        run_failed: whether the last run of the model, or of the face finder, failed.
        users: requests that were admitted with this scorer and are not answered yet.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        policy: FacePolicy,
        capacity: Capacity,
        observe_batch: Callable[[int], None],
        provenance: Provenance | None = None,
    ) -> None:
        self.engine, self.policy, self.capacity = engine, policy, capacity
        self.slots = QueueSlots(capacity)
        self.pool = DecodePool(capacity.decode_threads)
        self.run_failed = False
        self.users = 0
        self._limits, self._provenance = limits, provenance
        self._batcher = Batcher(
            self._infer, capacity.max_batch, capacity.batch_window_s, capacity.batches_in_flight, observe_batch
        )

    def submit(self, payload: Payload, policy: FacePolicy | None = None) -> Job:
        """Queue one picture; on the event loop. The caller awaits :meth:`score`.

        Args:
            payload: the bytes of the picture, or its pixels, uint8 ``[H, W, 3]`` RGB.
            policy: how faces are treated; default: :attr:`policy`.

        Raises:
            RequestError: the queue is full.
        """
        job = Job(payload, asyncio.get_running_loop(), policy or self.policy)
        self._queue(partial(self._process, job))
        return job

    async def submit_when_free(self, payload: Payload, deadline: float, policy: FacePolicy | None = None) -> Job:
        """Queue one picture as soon as a slot is free; used by requests with several pictures.

        Args:
            payload: as for :meth:`submit`.
            deadline: of the wait, by the loop's time.
            policy: as for :meth:`submit`.

        Raises:
            RequestError: no slot was free in time.
        """
        await self.slots.wait(deadline)
        return self.submit(payload, policy)

    async def score(self, job: Job) -> Scored:
        """Wait for a picture's verdict.

        Raises:
            ImageError: the picture is refused.
            InferenceError: the model failed; the service stays up, and readiness tries the model again.
            RequestError: the deadline passed, or the job was refused otherwise.
        """
        logits = await self._finished(job)
        judgement = judge(logits, job.prepared, self.engine.spec, job.policy)
        timings_ms = job.timings_ms()
        work_ms = sum(spent for stage, spent in timings_ms.items() if stage not in ("queue", "total"))
        self.slots.record_work(work_ms / 1000)
        return Scored(judgement, job.facts, timings_ms, job.stages)

    async def logits(self, job: Job, tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model on further tensors of a picture that has been scored; they wait in the queue like a picture.

        Args:
            job: of the picture.
            tensors: uint8 ``[n, H, W, 3]`` RGB.

        Raises:
            InferenceError, RequestError: as :meth:`score`.
        """
        further = job.with_tensors(tensors)
        self._queue(partial(self._process, further))
        return await self._finished(further)

    async def call(self, function: Callable[[], T]) -> T:
        """Run a short function on a decode thread, in its turn.

        Raises:
            RequestError: the queue is full.
            Exception: what the function raises.
        """
        future: Future[T] = Future()
        self._queue(partial(self._run, function, future))
        try:
            return await asyncio.wrap_future(future)
        finally:
            self.slots.release()

    def warm_up(self) -> None:
        """Run the model, and the face finder where faces are looked for, on blank input.

        Raises:
            InferenceError, FinderError: it fails.
        """
        self.engine.warm_up()
        if self.policy.mode != "off":
            face_finder().warm_up()

    def close(self) -> None:
        """End the threads."""
        self.pool.close()

    def _queue(self, work: Callable[[], None]) -> None:
        """Take a slot and queue work for a decode thread; whoever awaits the result releases the slot."""
        self.slots.take()
        self.pool.submit(work)

    async def _finished(self, job: Job) -> NDArray[np.float32]:
        timer = asyncio.get_running_loop().call_later(self.capacity.deadline_s, self._refuse_late, job)
        try:
            return await job.logits()
        finally:
            timer.cancel()
            self.slots.release()

    def _refuse_late(self, job: Job) -> None:
        limit_s = self.capacity.deadline_s
        job.refuse(RequestError("deadline_exceeded", f"no verdict within the limit of {limit_s:g} s"))

    def _run(self, function: Callable[[], T], future: "Future[T]") -> None:
        """Call a function unless nobody waits for its result; in a thread of the pool."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            with self.pool.busy():
                result = function()
        except Exception as error:  # raised again where the result is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    def _process(self, job: Job) -> None:
        """Decode one picture and hand its tensors to the batcher; in a thread of the pool."""
        try:
            if job.abandoned:
                return
            if not job.is_prepared:
                with self.pool.busy():
                    self._prepare(job)
            self._batcher.submit(job.batch_entries(self.capacity.max_batch))
        except Exception as error:  # whatever it is, the client must get it, and the thread continue
            if isinstance(error, InferenceError):
                self.run_failed = True
            job.fail(error)

    def _prepare(self, job: Job) -> None:
        started = time.perf_counter()
        spec, payload = self.engine.spec, job.payload
        if isinstance(payload, bytes):
            image = decode(payload, self._limits, spec.exif_policy)
        else:
            image = as_decoded(payload, self._limits)
        decoded = time.perf_counter()
        try:
            faces = find_faces(image, job.policy)
        except FinderError as error:
            raise InferenceError(str(error)) from error
        searched = time.perf_counter()
        job.prepared = prepare(image, spec.preprocessing, job.policy, faces)
        digest = hashlib.sha256(payload if isinstance(payload, bytes) else payload.data).hexdigest()
        origin = self._provenance.of(payload, image) if self._provenance and isinstance(payload, bytes) else None
        job.facts = ImageFacts(image.format, image.width, image.height, digest, origin)
        job.payload = b""  # only the tensors wait for a run
        ended = time.perf_counter()
        job.stages = [
            Stage("queue", job.arrived, started),
            Stage("decode", started, decoded),
            *([] if job.policy.mode == "off" else [Stage("faces", decoded, searched)]),
            Stage("decode", searched, ended),
        ]

    def _infer(self, tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            with self.pool.busy():
                return self.engine.logits(tensors)
        except InferenceError:
            self.run_failed = True
            raise
