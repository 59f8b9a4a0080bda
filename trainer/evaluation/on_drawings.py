"""Evaluation on drawings: how often a model calls a picture that is neither photo nor generated real or fake."""

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
_TECHNIQUES: Final[tuple[Technique, ...]] = (*dict.fromkeys(TECHNIQUES), *KEPT_BACK)


def on_drawings(engine: Engine, samples: Sequence[Sample]) -> dict[str, Any]:
    """Score drawings made of every picture by each technique of :mod:`trainer.augment.drawings`.

    Recipes with drawings train on all techniques except ``KEPT_BACK``.

    Returns:
        ``pictures``, their number; ``techniques``, for each the shares called ``real`` and ``fake``, and whether
        recipes train on it; and ``sure``, the share of all drawings called real or fake.
    """
    rows: list[list[str]] = []
    chunks = [samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, f"drawings for {engine.spec.name}", total=len(chunks)):
            rows += pool.map(lambda sample: _verdict_names(engine, sample), chunk)
    names = np.array(rows)
    return {
        "pictures": len(samples),
        "techniques": {
            technique.__name__: {
                **{label: float((names[:, column] == label).mean()) for label in ("real", "fake")},
                "trained_on": technique not in KEPT_BACK,
            }
            for column, technique in enumerate(_TECHNIQUES)
        },
        "sure": float((names != "uncertain").mean()),
    }


def covers_all_techniques(recorded: Mapping[str, Any] | None) -> bool:
    """Whether recorded results cover exactly the present techniques."""
    return bool(recorded) and set(recorded["techniques"]) == {technique.__name__ for technique in _TECHNIQUES}  # type: ignore[index]


def _verdict_names(engine: Engine, sample: Sample) -> list[str]:
    return [verdict.verdict for verdict in verdicts(engine.logits(_drawings(engine, sample)), engine.spec)]


def _drawings(engine: Engine, sample: Sample) -> NDArray[np.uint8]:
    """Return uint8 ``[techniques, H, W, 3]``; each technique has a random generator independent of the others."""
    rgb, seed = Image.fromarray(load_sample(sample, engine.spec.preprocessing)), int(sample.sha256[:8], 16)
    generators = (np.random.default_rng((seed, zlib.crc32(technique.__name__.encode()))) for technique in _TECHNIQUES)
    return np.stack(
        [np.asarray(draw(rgb, rng), dtype=np.uint8) for draw, rng in zip(_TECHNIQUES, generators, strict=True)]
    )
