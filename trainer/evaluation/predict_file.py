"""Prediction for one file, with the same processing as in the service."""

from pathlib import Path
from typing import Any

from service.contract.bounded_read import read_bounded
from service.contract.faces.framing import FacePolicy, check_mode
from service.contract.image.decode import decode
from service.contract.image.image_errors import ImageError, Limits
from service.contract.preparation import prepare
from service.contract.verdict.judgement import judge
from service.inference.answer import answer
from service.inference.engine import Engine
from trainer.common.errors import TrainerError


def predict_file(engine: Engine, path: Path, policy: FacePolicy | None = None) -> dict[str, Any]:
    """Return the service's answer for one file, or ``error`` if the file is rejected; an invalid file never raises.

    Args:
        engine: the loaded model.
        path: path of the picture.
        policy: how faces are handled; default: the service's policy.

    Raises:
        TrainerError: the recompression check is on and the face mode is ``off``.
        SpecError: the model cannot be served with this policy.
        FinderError: the face finder is needed and cannot be loaded.
    """
    limits, policy = Limits(), policy or FacePolicy()
    if policy.check_recompression and policy.mode == "off":
        raise TrainerError(
            "--check-recompression reports its result as a reason: set --faces to report or crop, not off"
        )
    check_mode(engine.spec, policy.mode)
    try:
        image = decode(read_bounded(path, limits.max_bytes), limits, engine.spec.exif_policy)
    except ImageError as error:
        return {"path": str(path), "error": {"code": error.code, "detail": str(error)}}
    except OSError as error:
        return {"path": str(path), "error": {"code": "unreadable", "detail": error.strerror}}
    prepared = prepare(image, engine.spec.preprocessing, policy)
    judgement = judge(engine.logits_in_parts(prepared.tensors), prepared, engine.spec, policy)
    return {"path": str(path), **answer(judgement, policy)}
