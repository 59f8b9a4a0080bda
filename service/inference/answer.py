"""A judgement as JSON values, under the names that ``POST /predict`` answers with; trainer and service share them."""

from typing import Any

from service.contract.faces.framing import FacePolicy
from service.contract.verdict.calibration import Verdict
from service.contract.verdict.judgement import FaceJudgement, Judgement


def answer(judgement: Judgement, policy: FacePolicy) -> dict[str, Any]:
    """Return a judgement as JSON values, under the names that ``POST /predict`` answers with.

    ``faces`` and ``reasons`` are there unless faces are ``off``; by ``crop`` each face has a verdict
    of its own. Boxes are whole pixels of the picture as shown.
    """
    fields = verdict_fields(judgement.verdict)
    if policy.mode == "off":
        return fields
    return fields | {"faces": [face_fields(face) for face in judgement.faces], "reasons": list(judgement.reasons)}


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values."""
    return {
        "verdict": verdict.verdict,
        "confidence": verdict.confidence,
        "probabilities": {"real": verdict.p_real, "fake": verdict.p_fake},
    }


def face_fields(judged: FaceJudgement) -> dict[str, Any]:
    """Return a face as JSON values, with its verdict where it has one; its box in whole pixels."""
    face = judged.face
    left, top = round(face.left), round(face.top)
    width, height = (
        max(1, round(face.left + face.width) - left),
        max(1, round(face.top + face.height) - top),
    )
    fields = {"box": {"left": left, "top": top, "width": width, "height": height}, "score": round(face.score, 4)}
    if judged.verdict is None:
        return fields
    return fields | verdict_fields(judged.verdict) | {"reasons": list(judged.reasons)}
