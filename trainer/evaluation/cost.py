"""Cost of a served model: milliseconds per face on one core, and file size."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions

_WARM_UP_ROUNDS = 5
_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Cost:
    """Median milliseconds per face on one core, without decoding, and file size in 10^6 bytes."""

    milliseconds: float
    megabytes: float


def costs(models: Sequence[bytes]) -> list[Cost]:
    """Time model files in alternation, so that drift of the machine affects all of them.

    Args:
        models: contents of model files.

    Raises:
        ModelFileError: a file is not a valid model.
    """
    engines = [Engine.from_bytes(content, EngineOptions("cpu", threads=1)) for content in models]
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (1, engine.spec.input_height, engine.spec.input_width, 3), dtype=np.uint8)
        for engine in engines
    ]
    timings: list[list[float]] = [[] for _ in engines]
    for round_number in range(_WARM_UP_ROUNDS + _ROUNDS):
        for times, engine, image in zip(timings, engines, images, strict=True):
            start = time.perf_counter()
            engine.logits(image)
            if round_number >= _WARM_UP_ROUNDS:
                times.append(1000 * (time.perf_counter() - start))
    return [Cost(statistics.median(times), len(content) / 1e6) for times, content in zip(timings, models, strict=True)]
