"""Admission: permits for requests, videos and cameras, taken without waiting, and scoring for those admitted."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Gauge

from service.errors import RequestError
from service.inference.job import Job, Payload
from service.inference.scorer import Scored, Scorer
from service.observability import telemetry
from service.observability.metrics import Metrics


class Admission:
    """Counts the requests under way, those whose body is still arriving included.

    Args:
        max_in_flight: requests at once; None: only the queue is bounded.
        metrics: that show them.

    Attributes:
        in_flight: requests under way.
    """

    def __init__(self, max_in_flight: int | None, metrics: Metrics) -> None:
        self._max_in_flight, self._metrics = max_in_flight, metrics
        self.in_flight = 0

    @contextmanager
    def admit(self, scorer: Scorer) -> Iterator["Admitted"]:
        """Admit one request, without waiting.

        Args:
            scorer: that answers it, even where the model is replaced meanwhile.

        Raises:
            RequestError: ``max_in_flight`` requests are under way, or the queue is full.
        """
        scorer.slots.check()
        if self._max_in_flight is not None and self.in_flight >= self._max_in_flight:
            headers = {"Retry-After": str(scorer.slots.retry_after_s())}
            detail = f"{self.in_flight} requests reach the limit of {self._max_in_flight}"
            raise RequestError("overloaded", detail, headers)
        self._count(scorer, 1)
        try:
            yield Admitted(scorer, self._metrics)
        finally:
            self._count(scorer, -1)

    def _count(self, scorer: Scorer, change: int) -> None:
        self.in_flight += change
        scorer.users += change
        self._metrics.in_flight.set(self.in_flight)
        self._metrics.queue.set(scorer.slots.waiting)


class Admitted:
    """One admitted request: queues its pictures, waits for their verdicts, and records them.

    Attributes:
        scorer: that answers this request.
    """

    __slots__ = ("_metrics", "scorer")

    def __init__(self, scorer: Scorer, metrics: Metrics) -> None:
        self.scorer, self._metrics = scorer, metrics

    def submit(self, payload: Payload) -> Job:
        """Queue one picture; the caller awaits :meth:`score`.

        Raises:
            RequestError: the queue is full.
        """
        job = self.scorer.submit(payload)
        self._metrics.queue.set(self.scorer.slots.waiting)
        return job

    async def score(self, job: Job, *, count_verdict: bool = True) -> Scored:
        """Wait for the verdict on one picture, and record it.

        Args:
            job: from :meth:`submit`.
            count_verdict: whether the verdict is counted; frames of a camera would drown the pictures.

        Raises:
            ImageError, InferenceError, RequestError: as :meth:`service.inference.scorer.Scorer.score`.
        """
        scored = await self.scorer.score(job)
        self._record(scored, count_verdict)
        return scored

    async def score_all(
        self, payloads: Sequence[Payload | Exception], *, all_or_none: bool = False
    ) -> list[Scored | Exception]:
        """Return the result of each picture, or the error that refuses it, in order.

        As many pictures as there are decode threads are in the queue at once, so that other requests get in.

        Args:
            payloads: the pictures, or the errors that refuse them.
            all_or_none: record nothing where a picture is refused, because then the whole request is.
        """
        capacity = self.scorer.capacity
        slots = asyncio.Semaphore(capacity.decode_threads)
        deadline = asyncio.get_running_loop().time() + capacity.deadline_s

        async def result(payload: Payload | Exception) -> Scored | Exception:
            if isinstance(payload, Exception):
                return payload
            async with slots:
                try:
                    return await self.scorer.score(await self.scorer.submit_when_free(payload, deadline))
                except Exception as error:  # each picture fails by itself
                    return error

        results = await asyncio.gather(*(result(payload) for payload in payloads))
        scored = [item for item in results if isinstance(item, Scored)]
        if not all_or_none or len(scored) == len(results):
            for item in scored:
                self._record(item, count_verdict=True)
        return results

    def _record(self, scored: Scored, count_verdict: bool) -> None:
        judgement, metrics = scored.judgement, self._metrics
        for stage, milliseconds in scored.timings_ms.items():
            metrics.stages[stage].observe(milliseconds / 1000)
        telemetry.record(scored.stages)
        if count_verdict:
            metrics.verdicts.labels(judgement.verdict.verdict).inc()
            metrics.fake_probability.observe(judgement.verdict.p_fake)
            metrics.faces.observe(len(judgement.faces))
            for reason in judgement.reasons:
                metrics.reasons.labels(reason).inc()


class Permits:
    """A fixed number of permits of one kind, taken without waiting.

    Args:
        limit: permits at once.
        under_way: what holds them, for the error, such as ``videos are being read``.
        setting: that sets the limit.
        retry_after_s: how long one is usually held, seconds.
        gauge: shows how many are held.

    Attributes:
        held: permits that are held.
    """

    def __init__(
        self, limit: int, under_way: str, setting: str, retry_after_s: int, gauge: Gauge | None = None
    ) -> None:
        self._limit, self._under_way, self._setting = limit, under_way, setting
        self._retry_after_s, self._gauge = retry_after_s, gauge
        self.held = 0

    def check(self) -> None:
        """Refuse where every permit is held.

        Raises:
            RequestError: every permit is held.
        """
        if self.held >= self._limit:
            headers = {"Retry-After": str(self._retry_after_s)}
            detail = f"{self.held} {self._under_way}, which is the limit ({self._setting})"
            raise RequestError("overloaded", detail, headers)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one permit.

        Raises:
            RequestError: every permit is held.
        """
        self.check()
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.held += change
        if self._gauge is not None:
            self._gauge.set(self.held)
