"""Response bodies, shared by the HTTP endpoints, ``/v2``, the stream and offline scoring."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from service.contract.image.image_errors import ImageError
from service.errors import RequestError
from service.inference.answer import answer
from service.inference.engine import InferenceError
from service.inference.scorer import Scored, Scorer

_log = logging.getLogger(__name__)


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return compact JSON; NaN and infinity are an error."""
    body = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Response(body, headers=headers, media_type="application/json")


def prediction(scored: Scored, scorer: Scorer) -> dict[str, Any]:
    """Return a verdict as :class:`service.api.schemas.Prediction` describes it, without ``timings_ms``.

    Args:
        scored: the scored picture.
        scorer: the scorer that returned it.
    """
    spec, image = scorer.engine.spec, scored.image
    fields = answer(scored.judgement, scorer.policy)
    return {
        "verdict": fields.pop("verdict"),
        "confidence": fields.pop("confidence"),
        "probabilities": fields.pop("probabilities"),
        "thresholds": {"real": spec.threshold_real, "fake": spec.threshold_fake},
        **fields,  # faces and reasons, if face detection is on
        **({} if image.provenance is None else {"provenance": image.provenance}),
        "image": {"format": image.format, "width": image.width, "height": image.height, "sha256": image.sha256},
        "model": {"name": spec.name, "version": spec.version, "sha256": scorer.engine.sha256},
    }


def timed_prediction(scored: Scored, scorer: Scorer) -> dict[str, Any]:
    """Return a verdict as :class:`service.api.schemas.Prediction` describes it."""
    return prediction(scored, scorer) | {"timings_ms": scored.timings_ms}


def refusal(error: Exception, **context: str) -> tuple[str, str]:
    """Return the code and the detail of an error; log errors that the picture does not cause.

    Args:
        error: raised while scoring a picture.
        context: fields of the log record, such as ``request_id``.
    """
    if isinstance(error, RequestError):
        return error.code, error.detail
    if isinstance(error, ImageError):
        return error.code, str(error)
    if isinstance(error, InferenceError):
        _log.error("inference failed", extra={**context, "error": str(error)})
        return "inference_failed", "the model failed or returned no finite output; the picture is not the cause"
    _log.error("unexpected error", exc_info=error, extra=context)
    return "internal_error", "unexpected error in the service; see its log"
