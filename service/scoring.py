"""Scoring: bytes to a verdict, decode and inference each in threads of their own."""

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract.finder import face_finder
from service.contract.framing import FacePolicy
from service.contract.image import Limits, decode
from service.contract.judgement import Judgement, judge
from service.contract.preparation import Prepared, prepare
from service.contract.yunet import FinderError
from service.engine import Engine, InferenceError, parts


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds in each stage.

    ``decode`` is bytes to tensors, of which ``find`` is the search for faces with all that is cut
    and resized; ``queue`` is the wait for a decode and an inference thread.
    """

    decode: float
    find: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What stays of a picture once it is a tensor: format by content, size as shown, SHA-256 of its bytes."""

    format: str
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Scored:
    """One answered picture."""

    judgement: Judgement
    image: ImageFacts
    timings: Timings


class Scorer:
    """Scores pictures with one engine; nothing heavy runs on the event loop.

    Inference has one thread, because the engine's own threads already fill the processors.
    """

    def __init__(self, engine: Engine, limits: Limits, policy: FacePolicy, decode_threads: int) -> None:
        self.engine = engine
        self.policy = policy
        self._limits = limits
        self._decoding = ThreadPoolExecutor(decode_threads, "decode")
        self._inference = ThreadPoolExecutor(1, "inference")
        self._failed = False

    async def score(self, payload: bytes) -> Scored:
        """Score one picture.

        Raises:
            ImageError: the picture is refused.
            InferenceError: the model failed; the service stays up and readiness checks again.
        """
        loop = asyncio.get_running_loop()
        start = time.perf_counter()
        image, prepared, decode_s, find_s = await loop.run_in_executor(self._decoding, self._prepare, payload)
        # Each part is a job of its own, so that one picture of many faces does not keep all others waiting.
        runs = [await loop.run_in_executor(self._inference, self._infer, part) for part in parts(prepared.tensors)]
        inference_s = sum(seconds for _, seconds in runs)
        logits = np.concatenate([rows for rows, _ in runs])
        judgement = judge(logits, prepared, self.engine.spec, self.policy)
        total_s = time.perf_counter() - start
        queue_s = max(0.0, total_s - decode_s - inference_s)
        stages = (round(seconds * 1000, 3) for seconds in (decode_s, find_s, queue_s, inference_s, total_s))
        return Scored(judgement, image, Timings(*stages))

    async def ready(self) -> bool:
        """Return whether the model can answer; runs it once where the last inference failed."""
        if not self._failed:
            return True
        try:
            await asyncio.get_running_loop().run_in_executor(self._inference, self._warm_up)
        except InferenceError:
            return False
        self._failed = False
        return True

    def close(self) -> None:
        """End the threads once what they work on is done."""
        self._decoding.shutdown()
        self._inference.shutdown()

    def _prepare(self, payload: bytes) -> tuple[ImageFacts, Prepared, float, float]:
        start = time.perf_counter()
        spec = self.engine.spec
        image = decode(payload, self._limits, spec.exif_policy)
        decoded = time.perf_counter()
        try:
            prepared = prepare(image, spec.preprocessing, self.policy)
        except FinderError as error:
            self._failed = True
            raise InferenceError(str(error)) from error
        facts = ImageFacts(image.format, image.width, image.height, hashlib.sha256(payload).hexdigest())
        end = time.perf_counter()
        return facts, prepared, end - start, end - decoded

    def _warm_up(self) -> None:
        self.engine.warm_up()
        if self.policy.mode != "off":
            try:
                face_finder().warm_up()
            except FinderError as error:
                raise InferenceError(str(error)) from error

    def _infer(self, tensors: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        start = time.perf_counter()
        try:
            logits = self.engine.logits(tensors)
        except InferenceError:
            self._failed = True
            raise
        return logits, time.perf_counter() - start
