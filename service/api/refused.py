"""Refused: what one picture among several failed with, as code and detail."""

import logging

from service.contract.image.image_errors import ImageError
from service.errors import RequestError
from service.inference.engine import InferenceError

_log = logging.getLogger(__name__)


def refusal(error: Exception, **of: str) -> tuple[str, str]:
    """Return code and detail of what one picture failed with; the log has what is no fault of the picture.

    Args:
        error: that scoring it raised.
        of: what the log is to name it by, such as ``request_id``.
    """
    if isinstance(error, RequestError):
        return error.code, error.detail
    if isinstance(error, ImageError):
        return error.code, str(error)
    if isinstance(error, InferenceError):
        _log.error("inference failed", extra={**of, "error": str(error)})
        return "inference_failed", "the model gave no usable answer; the picture is not at fault"
    _log.error("defect", exc_info=error, extra=of)
    return "internal_error", "a defect of the service; see its log"
