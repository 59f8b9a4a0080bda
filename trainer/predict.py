"""Predict: one picture at a time, with exactly what the service would do to it."""

from pathlib import Path
from typing import Any

from service.contract.image import ImageError, Limits, decode, to_tensor
from service.contract.verdict import verdicts
from service.engine import Engine
from trainer.files import read_bounded


def predict_file(engine: Engine, path: Path) -> dict[str, Any]:
    """Return the verdict on one file, or ``error`` where it is refused; never raises for the file."""
    limits = Limits()
    try:
        image = decode(read_bounded(path, limits.max_bytes), limits, engine.spec.exif_policy)
    except ImageError as error:
        return {"path": str(path), "error": {"code": error.code, "detail": str(error)}}
    except OSError as error:
        return {"path": str(path), "error": {"code": "unreadable", "detail": error.strerror}}
    (verdict,) = verdicts(engine.logits(to_tensor(image, engine.spec.preprocessing)[None]), engine.spec)
    return {
        "path": str(path),
        "verdict": verdict.verdict,
        "confidence": verdict.confidence,
        "probabilities": {"real": verdict.p_real, "fake": verdict.p_fake},
    }
