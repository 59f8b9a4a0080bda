"""Predict: one picture at a time, with exactly what the service would do to it."""

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
    """Return the answer on one file, or ``error`` where it is refused; never raises for the file.

    Args:
        engine: with the model.
        path: of the picture.
        policy: what is done about faces; default: the service's.

    Raises:
        TrainerError: recompression is to be checked, and faces are ``off``.
        SpecError: the model cannot be served by this policy.
        FinderError: faces are to be found, and the finder does not load.
    """
    limits, policy = Limits(), policy or FacePolicy()
    if policy.check_recompression and policy.mode == "off":
        raise TrainerError("--check-recompression needs --faces report or crop, whose answers hold reasons")
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
