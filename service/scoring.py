"""Scoring: bytes to a verdict, decode and inference each in threads of their own."""

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract.image import Limits, decode, to_tensor
from service.contract.verdict import Verdict, verdicts
from service.engine import Engine, InferenceError


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds in each stage; ``queue`` is the wait for a decode and an inference thread."""

    decode: float
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

    verdict: Verdict
    image: ImageFacts
    timings: Timings


class Scorer:
    """Scores pictures with one engine; nothing heavy runs on the event loop.

    Inference has one thread, because the engine's own threads already fill the processors.
    """

    def __init__(self, engine: Engine, limits: Limits, decode_threads: int) -> None:
        self.engine = engine
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
        image, tensor, decode_s = await loop.run_in_executor(self._decoding, self._decode, payload)
        logits, inference_s = await loop.run_in_executor(self._inference, self._infer, tensor)
        (verdict,) = verdicts(logits, self.engine.spec)
        total_s = time.perf_counter() - start
        queue_s = max(0.0, total_s - decode_s - inference_s)
        stages = (round(seconds * 1000, 3) for seconds in (decode_s, queue_s, inference_s, total_s))
        return Scored(verdict, image, Timings(*stages))

    async def ready(self) -> bool:
        """Return whether the model can answer; runs it once where the last inference failed."""
        if not self._failed:
            return True
        try:
            await asyncio.get_running_loop().run_in_executor(self._inference, self.engine.warm_up)
        except InferenceError:
            return False
        self._failed = False
        return True

    def close(self) -> None:
        """End the threads once what they work on is done."""
        self._decoding.shutdown()
        self._inference.shutdown()

    def _decode(self, payload: bytes) -> tuple[ImageFacts, NDArray[np.uint8], float]:
        start = time.perf_counter()
        spec = self.engine.spec
        image = decode(payload, self._limits, spec.exif_policy)
        tensor = to_tensor(image, spec.preprocessing)
        facts = ImageFacts(image.format, image.width, image.height, hashlib.sha256(payload).hexdigest())
        return facts, tensor, time.perf_counter() - start

    def _infer(self, tensor: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        start = time.perf_counter()
        try:
            logits = self.engine.logits(tensor[None])
        except InferenceError:
            self._failed = True
            raise
        return logits, time.perf_counter() - start
