"""Judgement: from the logits of every look to one verdict on the picture, and the reasons for it."""

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
        face: where it is.
        verdict: on this face alone; None where the model was not shown it by itself.
        reasons: for that verdict.
    """

    face: Face
    verdict: Verdict | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one picture.

    Attributes:
        verdict: of its most fake face where each was looked at, else of the one look.
        reasons: what made it ``uncertain``, what other faces were not judged for, and what should be
            known beside it.
        faces: largest first.
        look: which of the prepared looks it is of.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    faces: tuple[FaceJudgement, ...]
    look: int = 0


def judge(logits: NDArray[np.floating], prepared: Prepared, spec: ModelSpec, policy: FacePolicy) -> Judgement:
    """Judge one picture by what the model says of its looks.

    Args:
        logits: ``[n, 2]``, a row for each of ``prepared.tensors``.
        prepared: what the model was shown.
        spec: of the model.
        policy: what ``prepared`` was made with.

    Raises:
        ValueError: as :func:`service.contract.verdict.calibration.fake_probability`.
    """
    every = verdicts(logits, spec)
    count = len(prepared.looks)
    if policy.mode == "off":
        return Judgement(every[0], (), ())
    pairs = zip(every[:count], every[-count:], prepared.looks, strict=True)
    judged = [_judge(plain, again, look, policy) for plain, again, look in pairs]
    # A face that is not judged does not decide while another can, but the picture says that it is there.
    able = [index for index, look in enumerate(prepared.looks) if not _forbids(look, policy)] or range(count)
    decisive = max(able, key=lambda index: (judged[index][0].verdict == "fake", judged[index][0].p_fake))
    verdict, reasons = judged[decisive]
    if len(prepared.faces) > 1:
        skipped = [reason for look in prepared.looks for reason in _forbids(look, policy)]
        reasons = _ordered((*reasons, *skipped, "several_faces"))
    if policy.mode == "crop" and prepared.faces:
        each = [FaceJudgement(face, *item) for face, item in zip(prepared.faces, judged, strict=True)]
    else:
        each = [FaceJudgement(face, None, ()) for face in prepared.faces]
    return Judgement(verdict, reasons, tuple(each), decisive)


def _judge(plain: Verdict, again: Verdict, look: Look, policy: FacePolicy) -> tuple[Verdict, tuple[Reason, ...]]:
    """Hold one look's verdict against what is known of its face."""
    reasons: list[Reason] = ["tight_crop"] if look.face and look.face.tight else []
    if forbidden := _forbids(look, policy):
        return plain.as_uncertain(), _ordered((*reasons, *forbidden))
    if plain.verdict == "uncertain":
        reasons.append("between_thresholds")
    if again.verdict != plain.verdict:
        return plain.as_uncertain(), _ordered((*reasons, "unstable_under_recompression"))
    return plain, tuple(reasons)


def _forbids(look: Look, policy: FacePolicy) -> tuple[Reason, ...]:
    """Return the reasons for which a look has no verdict, whatever the model says."""
    if look.face is None:
        return ("no_face",)
    found: dict[Reason, bool] = {
        "face_too_small": look.face.side < policy.min_face,
        "face_turned": look.face.turned,
        "face_cut": look.face.cut > MAX_CUT,
        "drawn": look.drawn,
        "framed_too_wide": look.wide,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def _ordered(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return tuple(reason for reason in REASONS if reason in reasons)
