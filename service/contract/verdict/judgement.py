"""Combine the logits of all looks into one verdict on the picture, with its reasons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import MAX_CUT, Face
from service.contract.faces.framing import FacePolicy, Look
from service.contract.preparation import Prepared
from service.contract.spec import ModelSpec
from service.contract.verdict.calibration import Verdict, verdicts
from service.contract.verdict.reasons import REASONS, Reason


@dataclass(frozen=True, slots=True)
class FaceJudgement:
    """The verdict on one face.

    Attributes:
        face: the face.
        verdict: the verdict on this face alone; None if the model was not shown the face on its own.
        reasons: the reasons for that verdict.
    """

    face: Face
    verdict: Verdict | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one picture.

    Attributes:
        verdict: the verdict on the most fake of the judged faces (verdict ``fake`` first, then highest
            P(fake)) if every face was shown, else on the only look.
        reasons: why the verdict is ``uncertain``, why other faces were not judged, and further notes.
        faces: largest first.
        look: index of the look that the verdict is from.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    faces: tuple[FaceJudgement, ...]
    look: int = 0


def judge(logits: NDArray[np.floating], prepared: Prepared, spec: ModelSpec, policy: FacePolicy) -> Judgement:
    """Judge one picture by the logits of its looks.

    Args:
        logits: ``[n, 2]``, one row for each of ``prepared.tensors``.
        prepared: the prepared picture.
        spec: the model's spec.
        policy: the policy that ``prepared`` was made with.

    Raises:
        ValueError: see :func:`service.contract.verdict.calibration.fake_probability`.
    """
    all_verdicts = verdicts(logits, spec)
    count = len(prepared.looks)
    if policy.mode == "off":
        return Judgement(all_verdicts[0], (), ())
    pairs = zip(all_verdicts[:count], all_verdicts[-count:], prepared.looks, strict=True)
    look_results = [_judge(plain, recompressed, look, policy) for plain, recompressed, look in pairs]
    # A face that is not judged decides only if no other face can; its reasons are added to the picture's.
    eligible = [index for index, look in enumerate(prepared.looks) if not _exclusions(look, policy)] or range(count)
    decisive = max(
        eligible, key=lambda index: (look_results[index][0].verdict == "fake", look_results[index][0].p_fake)
    )
    verdict, reasons = look_results[decisive]
    if len(prepared.faces) > 1:
        skipped = [reason for look in prepared.looks for reason in _exclusions(look, policy)]
        reasons = _ordered((*reasons, *skipped, "several_faces"))
    if policy.mode == "crop" and prepared.faces:
        face_judgements = [
            FaceJudgement(face, *judgement) for face, judgement in zip(prepared.faces, look_results, strict=True)
        ]
    else:
        face_judgements = [FaceJudgement(face, None, ()) for face in prepared.faces]
    return Judgement(verdict, reasons, tuple(face_judgements), decisive)


def _judge(plain: Verdict, recompressed: Verdict, look: Look, policy: FacePolicy) -> tuple[Verdict, tuple[Reason, ...]]:
    """Return one look's final verdict and reasons, given its face and the verdict after recompression."""
    reasons: list[Reason] = ["tight_crop"] if look.face and look.face.tight else []
    if exclusions := _exclusions(look, policy):
        return plain.as_uncertain(), _ordered((*reasons, *exclusions))
    if plain.verdict == "uncertain":
        reasons.append("between_thresholds")
    if recompressed.verdict != plain.verdict:
        return plain.as_uncertain(), _ordered((*reasons, "unstable_under_recompression"))
    return plain, tuple(reasons)


def _exclusions(look: Look, policy: FacePolicy) -> tuple[Reason, ...]:
    """Return the reasons why a look is not judged, independent of the logits."""
    if look.face is None:
        return ("no_face",)
    conditions: dict[Reason, bool] = {
        "face_too_small": look.face.side < policy.min_face,
        "face_turned": look.face.turned,
        "face_cut": look.face.cut > MAX_CUT,
        "drawn": look.drawn,
        "framed_too_wide": look.wide,
    }
    return tuple(reason for reason, holds in conditions.items() if holds)


def _ordered(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return tuple(reason for reason in REASONS if reason in reasons)
