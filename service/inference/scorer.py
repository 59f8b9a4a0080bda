"""Scoring: bytes to a verdict, through a bounded queue, decode threads and micro-batches."""

import asyncio
import hashlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

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
from service.inference.engine import Engine, InferenceError
from service.inference.job import Errand, ImageFacts, Payload, Ticket
from service.limits import Capacity
from service.observability.metrics import Metrics
from service.observability.telemetry import Stage
from service.provenance.content_credentials import Provenance

# Weight of the newest picture in the running mean from which Retry-After is computed.
_NEWEST = 0.05
_PATIENCE_S = 2.0
_PROBE_S = 1.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scored:
    """One answered picture: the verdict, its facts, and milliseconds by stage and in ``total``."""

    judgement: Judgement
    image: ImageFacts
    timings_ms: dict[str, float]
    stages: list[Stage]


class Scorer:
    """Scores pictures with one engine; nothing heavy runs on the event loop.

    A picture waits in one queue for one of ``capacity.decode_threads`` threads, which decodes it, finds
    its faces and, where a run of the model is free, runs it too; else it waits in the batcher.

    Attributes:
        engine: the model.
        policy: what is done about faces.
        users: requests that were admitted with this scorer, and are not answered yet.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        policy: FacePolicy,
        capacity: Capacity,
        metrics: Metrics,
        provenance: Provenance | None = None,
    ) -> None:
        self._provenance = provenance
        self.engine = engine
        self.policy = policy
        self._limits = limits
        self._capacity = capacity
        self._queue: SimpleQueue[Ticket | Errand | None] = SimpleQueue()
        self._batcher = Batcher(
            self._infer,
            capacity.max_batch,
            capacity.batch_window_s,
            capacity.batches_in_flight,
            metrics.batch_size.observe,
        )
        self.users = 0
        self._open = 0
        self._in_line: deque[asyncio.Future[None]] = deque()
        self._mean_work_s = 0.0
        self._failed = False
        self._probe: asyncio.Future[bool] | None = None
        self._since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"decode-{number}", daemon=True)
            for number in range(capacity.decode_threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Pictures beyond one for each decode thread, as far as their clients still wait: those wait here too."""
        return max(0, self._open - self._capacity.decode_threads)

    @property
    def decode_threads(self) -> int:
        """Pictures that are worked on at once."""
        return self._capacity.decode_threads

    def seconds_to_room(self) -> int:
        """Return in how many seconds the pictures that wait are likely to be done, at least 1: for ``Retry-After``."""
        return max(1, math.ceil(self.waiting * self._mean_work_s / self._capacity.decode_threads))

    def check_room(self) -> None:
        """Refuse one more picture where the queue is full.

        Raises:
            RequestError: it is.
        """
        if self._full:
            headers = {"Retry-After": str(self.seconds_to_room())}
            limit = self._capacity.max_queue
            raise RequestError("overloaded", f"{self.waiting} pictures wait, which is the limit of {limit}", headers)

    @property
    def _full(self) -> bool:
        return self.waiting >= self._capacity.max_queue

    async def submit_when_room(
        self, payload: Payload, since: float, policy: FacePolicy | None = None, patience_s: float | None = None
    ) -> Ticket:
        """Queue one picture as soon as there is room, as whoever sends several in one request waits for.

        Args:
            payload: of the picture.
            since: when the request came, by the loop's time: all of its pictures wait until its deadline.
            policy: as for :meth:`submit`.
            patience_s: from then on, seconds; default: the deadline of a picture.

        Raises:
            RequestError: there was none until then.
        """
        loop = asyncio.get_running_loop()
        end = since + (self._capacity.deadline_s if patience_s is None else patience_s)
        while self._full and loop.time() < end:
            place = loop.create_future()
            self._in_line.append(place)
            try:
                await asyncio.wait_for(place, end - loop.time())
            except TimeoutError:
                pass
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._call_next()  # who was called and is gone must not keep the others waiting
                raise
        return self.submit(payload, policy)

    def _call_next(self) -> None:
        while self._in_line:
            if not (place := self._in_line.popleft()).done():
                place.set_result(None)
                return

    def submit(self, payload: Payload, policy: FacePolicy | None = None) -> Ticket:
        """Queue one picture; on the event loop. Whoever submits awaits :meth:`score`.

        Args:
            payload: of the picture.
            policy: what is done about faces; default: :attr:`policy`.

        Raises:
            RequestError: the queue is full.
        """
        self.check_room()
        ticket = Ticket(payload, asyncio.get_running_loop(), policy or self.policy)
        self._open += 1
        self._queue.put(ticket)
        return ticket

    async def score(self, ticket: Ticket) -> Scored:
        """Wait for a picture's verdict.

        Raises:
            ImageError: the picture is refused.
            InferenceError: the model failed; the service stays up and readiness checks again.
            RequestError: the deadline passed, or the ticket was refused otherwise.
        """
        logits = await self._settled(ticket)
        judgement = judge(logits, ticket.prepared, self.engine.spec, ticket.policy)
        timings_ms = ticket.timings_ms()
        work_s = sum(spent for stage, spent in timings_ms.items() if stage not in ("queue", "total")) / 1000
        self._mean_work_s += _NEWEST * (work_s - self._mean_work_s) if self._mean_work_s else work_s
        return Scored(judgement, ticket.facts, timings_ms, ticket.stages)

    async def logits(self, ticket: Ticket, tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model on more tensors of a picture that has been scored, as others' pictures let it.

        Args:
            ticket: of the picture; they count as one that waits.
            tensors: uint8 ``[n, H, W, 3]`` RGB.

        Raises:
            InferenceError, RequestError: as :meth:`score`.
        """
        self.check_room()
        more = ticket.again(tensors)
        self._open += 1
        self._queue.put(more)
        return await self._settled(more)

    async def run(self, work: Callable[[], T]) -> T:
        """Do something else about a picture that has been scored, on a thread that decodes, once it is its turn.

        Args:
            work: what to call; must not be long.

        Raises:
            RequestError: the queue is full.
            Exception: what the work raises.
        """
        self.check_room()
        errand = Errand(work, asyncio.get_running_loop())
        self._open += 1
        self._queue.put(errand)
        try:
            found: T = await errand.result
            return found
        finally:
            errand.unwanted = True
            self._open -= 1
            self._call_next()

    async def origin(self, payload: bytes, container: str) -> dict[str, Any] | None:
        """Return what a file that is no picture says of where it comes from; None where nobody asks.

        Args:
            payload: of the file.
            container: as :func:`service.video.video_limits.container_of` names it.
        """
        if self._provenance is None:
            return None
        return await asyncio.to_thread(self._provenance.of_container, payload, container)

    async def _settled(self, ticket: Ticket) -> NDArray[np.float32]:
        deadline_s = self._capacity.deadline_s
        late = RequestError("deadline_exceeded", f"no verdict within the limit of {deadline_s:g} s")
        timer = asyncio.get_running_loop().call_later(deadline_s, ticket.refuse, late)
        try:
            return await ticket.logits()
        finally:
            timer.cancel()
            self._open -= 1
            self._call_next()

    async def unready(self) -> str | None:
        """Return why the model cannot answer, within a second and beside the queue; None where it can.

        It cannot where a thread has been busy with one picture or run for longer than the deadline. Where
        the last inference failed the model is tried again, once for all who ask meanwhile.
        """
        now, deadline_s = time.perf_counter(), self._capacity.deadline_s
        if any(now - since > deadline_s for since in list(self._since.values())):
            return f"a thread has been busy with one picture or run for longer than the deadline of {deadline_s:g} s"
        if not self._failed:
            return None
        if self._probe is None:
            probe: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._try_again, args=(probe,), name="probe", daemon=True).start()
            self._probe = probe
        probe = self._probe
        await asyncio.wait({probe}, timeout=_PROBE_S)
        if not probe.done():
            return "the last inference failed, and a new try has not ended yet"
        return None if probe.result() else "the last inference failed, and so did a new try"

    def close(self) -> None:
        """End the threads once what they work on is done; one that hangs is left to the end of the process."""
        for _ in self._threads:
            self._queue.put(None)
        end = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (ticket := self._queue.get()) is not None:
            if isinstance(ticket, Errand):
                with self._busy():
                    if not ticket.unwanted:
                        ticket.run()
                del ticket
                continue
            try:
                if not ticket.unwanted:
                    if not ticket.is_prepared:
                        self._prepare(ticket)
                    self._batcher.submit(ticket.parts(self._capacity.max_batch))
            except Exception as error:  # whatever it is, the client must learn of it, and the thread go on
                if isinstance(error, InferenceError):
                    self._failed = True
                ticket.fail(error)
            del ticket  # else it is kept until the next one comes

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Note that this thread is at work, for :meth:`unready`."""
        thread = threading.get_ident()
        self._since[thread] = time.perf_counter()
        try:
            yield
        finally:
            del self._since[thread]

    def _prepare(self, ticket: Ticket) -> None:
        with self._busy():
            self._decode(ticket)

    def _decode(self, ticket: Ticket) -> None:
        started = time.perf_counter()
        spec, payload = self.engine.spec, ticket.payload
        if isinstance(payload, bytes):
            image = decode(payload, self._limits, spec.exif_policy)
        else:
            image = as_decoded(payload, self._limits)
        decoded = time.perf_counter()
        try:
            faces = find_faces(image, ticket.policy)
        except FinderError as error:
            raise InferenceError(str(error)) from error
        found = time.perf_counter()
        ticket.prepared = prepare(image, spec.preprocessing, ticket.policy, faces)
        digest = hashlib.sha256(payload if isinstance(payload, bytes) else payload.data).hexdigest()
        origin = self._provenance.of(payload, image) if self._provenance and isinstance(payload, bytes) else None
        ticket.facts = ImageFacts(image.format, image.width, image.height, digest, origin)
        ticket.payload = b""  # tensors are all that waits for a run
        ended = time.perf_counter()
        ticket.stages = [
            Stage("queue", ticket.arrived, started),
            Stage("decode", started, decoded),
            *([] if ticket.policy.mode == "off" else [Stage("faces", decoded, found)]),
            Stage("decode", found, ended),
        ]

    def _try_again(self, probe: "asyncio.Future[bool]") -> None:
        """Run the model, and the face finder, on nothing; in a thread of its own."""
        try:
            self.engine.warm_up()
            if self.policy.mode != "off":
                face_finder().warm_up()
        except Exception:  # whatever it is, those who ask must learn of it
            works = False
        else:
            works = True
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            probe.get_loop().call_soon_threadsafe(self._settle_probe, probe, works)

    def _settle_probe(self, probe: "asyncio.Future[bool]", works: bool) -> None:
        self._failed, self._probe = not works, None
        probe.set_result(works)

    def _infer(self, tensors: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            with self._busy():
                return self.engine.logits(tensors)
        except InferenceError:
            self._failed = True
            raise
