"""On drawings: how often a model is sure of a picture that is neither photo nor generated."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.verdict import verdicts
from service.engine import Engine
from trainer.dataset import Sample
from trainer.drawings import TECHNIQUES, Technique
from trainer.progress import track
from trainer.tensors import load_sample

_THREADS: Final = 2
_CHUNK: Final = 8
_EACH: Final[tuple[Technique, ...]] = tuple(dict.fromkeys(TECHNIQUES))


def on_drawings(engine: Engine, samples: Sequence[Sample]) -> dict[str, Any]:
    """Draw what the model is shown of every picture by each technique of :mod:`trainer.drawings`.

    Returns:
        ``pictures``; ``techniques``, of each the share called ``real`` and ``fake``; and ``sure``, the share of all
        that is called either.
    """
    called: list[NDArray[np.str_]] = []
    chunks = [samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, f"drawings for {engine.spec.name}", total=len(chunks)):
            for drawn in pool.map(lambda sample: _drawn(engine, sample), chunk):
                called.append(np.array([v.verdict for v in verdicts(engine.logits(drawn), engine.spec)]))
    names = np.array(called)
    return {
        "pictures": len(samples),
        "techniques": {
            technique.__name__: {label: float((names[:, row] == label).mean()) for label in ("real", "fake")}
            for row, technique in enumerate(_EACH)
        },
        "sure": float((names != "uncertain").mean()),
    }


def _drawn(engine: Engine, sample: Sample) -> NDArray[np.uint8]:
    """Return uint8 ``[techniques, H, W, 3]``, the same for the same picture each time."""
    shown, rng = (
        Image.fromarray(load_sample(sample, engine.spec.preprocessing)),
        np.random.default_rng(int(sample.sha256[:8], 16)),
    )
    return np.stack([np.asarray(technique(shown, rng), dtype=np.uint8) for technique in _EACH])
