"""Cost: milliseconds of a served model for one face on one core, and its size."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions

_WARM_UP = 5
_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs: median milliseconds for one face on one core without decoding, and 10^6 bytes."""

    milliseconds: float
    megabytes: float


def costs(models: Sequence[bytes]) -> list[Cost]:
    """Time model files in turn, so that a machine that drifts does so under all of them.

    Args:
        models: contents of model files.

    Raises:
        ModelFileError: one is refused.
    """
    engines = [Engine.from_bytes(content, EngineOptions("cpu", threads=1)) for content in models]
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (1, engine.spec.input_height, engine.spec.input_width, 3), dtype=np.uint8)
        for engine in engines
    ]
    taken: list[list[float]] = [[] for _ in engines]
    for round_number in range(_WARM_UP + _ROUNDS):
        for times, engine, image in zip(taken, engines, images, strict=True):
            start = time.perf_counter()
            engine.logits(image)
            if round_number >= _WARM_UP:
                times.append(1000 * (time.perf_counter() - start))
    return [Cost(statistics.median(times), len(content) / 1e6) for times, content in zip(taken, models, strict=True)]
