"""Answers: what is said of one picture, the same by HTTP, in a batch, through /v2 and in a file."""

from typing import Any

from service.contract.faces.framing import FacePolicy
from service.contract.verdict.judgement import Judgement, answer
from service.inference.engine import Engine
from service.inference.job import ImageFacts
from service.inference.scorer import Scored, Scorer


def prediction(judgement: Judgement, image: ImageFacts, engine: Engine, policy: FacePolicy) -> dict[str, Any]:
    """Return a verdict as :class:`service.api.schemas.Prediction` describes it, but for ``timings_ms``.

    Args:
        judgement: of the picture.
        image: what it was.
        engine: that judged it.
        policy: what was done about faces.
    """
    spec = engine.spec
    found = answer(judgement, policy)
    return {
        "verdict": found.pop("verdict"),
        "confidence": found.pop("confidence"),
        "probabilities": found.pop("probabilities"),
        "thresholds": {"real": spec.threshold_real, "fake": spec.threshold_fake},
        **found,  # faces and reasons, where they are looked for
        **({} if image.provenance is None else {"provenance": image.provenance}),
        "image": {"format": image.format, "width": image.width, "height": image.height, "sha256": image.sha256},
        "model": {"name": spec.name, "version": spec.version, "sha256": engine.sha256},
    }


def scored_prediction(scored: Scored, scorer: Scorer) -> dict[str, Any]:
    """Return what is answered over HTTP: the prediction with its ``timings_ms``."""
    found = prediction(scored.judgement, scored.image, scorer.engine, scorer.policy)
    return found | {"timings_ms": scored.timings_ms}
