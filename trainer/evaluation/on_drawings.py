"""On drawings: how often a model is sure of a picture that is neither photo nor generated."""

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.verdict.calibration import verdicts
from service.inference.engine import Engine
from trainer.augment.drawings import KEPT_BACK, TECHNIQUES, Technique
from trainer.common.progress import track
from trainer.data.dataset import Sample
from trainer.data.tensors import load_sample

_THREADS: Final = 2
_CHUNK: Final = 8
_EACH: Final[tuple[Technique, ...]] = (*dict.fromkeys(TECHNIQUES), *KEPT_BACK)


def on_drawings(engine: Engine, samples: Sequence[Sample]) -> dict[str, Any]:
    """Draw what the model is shown of every picture, by each technique of :mod:`trainer.augment.drawings`.

    A recipe that draws has trained on all of them but ``KEPT_BACK``.

    Returns:
        ``pictures``; ``techniques``, of each the share called ``real`` and ``fake``, and whether recipes train on it;
        and ``sure``, the share of all that is called either.
    """
    called: list[list[str]] = []
    chunks = [samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, f"drawings for {engine.spec.name}", total=len(chunks)):
            called += pool.map(lambda sample: _called(engine, sample), chunk)
    names = np.array(called)
    return {
        "pictures": len(samples),
        "techniques": {
            technique.__name__: {
                **{label: float((names[:, row] == label).mean()) for label in ("real", "fake")},
                "trained_on": technique not in KEPT_BACK,
            }
            for row, technique in enumerate(_EACH)
        },
        "sure": float((names != "uncertain").mean()),
    }


def measured_alike(found: Mapping[str, Any] | None) -> bool:
    """Whether recorded figures are of the techniques that there are now."""
    return bool(found) and set(found["techniques"]) == {technique.__name__ for technique in _EACH}  # type: ignore[index]


def _called(engine: Engine, sample: Sample) -> list[str]:
    return [verdict.verdict for verdict in verdicts(engine.logits(_drawn(engine, sample)), engine.spec)]


def _drawn(engine: Engine, sample: Sample) -> NDArray[np.uint8]:
    """Return uint8 ``[techniques, H, W, 3]``; each draws a picture alike whatever others there are."""
    shown, seed = Image.fromarray(load_sample(sample, engine.spec.preprocessing)), int(sample.sha256[:8], 16)
    generators = (np.random.default_rng((seed, zlib.crc32(technique.__name__.encode()))) for technique in _EACH)
    return np.stack([np.asarray(draw(shown, rng), dtype=np.uint8) for draw, rng in zip(_EACH, generators, strict=True)])
