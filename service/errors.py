"""Error responses: RFC 9457 problem details with a stable ``code``.

Stages of a request, with the statuses that each can end in::

    client -> bytes -> picture -> tensor -> logits -> verdict
           |        |                    |
           |        |                    500 inference_failed
           |        415, 422 (ImageError of the contract)
           400, 408, 413, 415, 429, 431, 503; 504 at any stage after the bytes
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """HTTP status, title and documented meaning of one error code."""

    status: int
    title: str
    meaning: str


ERROR_CODES: dict[str, ErrorCode] = {
    "malformed_tensor": ErrorCode(
        400,
        "Malformed tensor",
        "The `/v2` request or its tensor is malformed, or the tensor has the wrong type or shape.",
    ),
    "invalid_parameter": ErrorCode(400, "Invalid parameter", "A parameter in the URL has an invalid value."),
    "unauthorized": ErrorCode(
        401,
        "No valid API key",
        "The request carries no key that `SERVICE_API_KEYS` lists (`Authorization: Bearer KEY`).",
    ),
    "empty_payload": ErrorCode(400, "Empty payload", "The body or the part `file` is empty."),
    "malformed_multipart": ErrorCode(400, "Malformed multipart body", "The multipart body cannot be parsed."),
    "missing_file": ErrorCode(400, "No part named 'file'", "A multipart body must contain one part named `file`."),
    "too_many_files": ErrorCode(
        400,
        "Too many parts",
        "A multipart body may contain only one part, `file`; a batch only parts `file`, at most `SERVICE_MAX_FILES`.",
    ),
    "client_disconnected": ErrorCode(
        400, "Client disconnected", "The client closed the connection before the response."
    ),
    "body_timeout": ErrorCode(
        408,
        "Body timeout",
        "The body took longer than `SERVICE_BODY_TIMEOUT_S` (a video: `SERVICE_VIDEO_BODY_TIMEOUT_S`), or was dropped "
        "because the bodies being received exceeded `SERVICE_MAX_BUFFERED_MIB`.",
    ),
    "header_timeout": ErrorCode(
        408, "Header timeout", "The headers were not complete within `SERVICE_HEADER_TIMEOUT_S`."
    ),
    "headers_too_large": ErrorCode(431, "Headers too large", "The request line and headers exceed 64 KiB."),
    "payload_too_large": ErrorCode(
        413,
        "Payload too large",
        "A picture exceeds `SERVICE_MAX_BYTES`, a video `SERVICE_MAX_VIDEO_BYTES`, or a request with several pictures "
        "`SERVICE_MAX_REQUEST_BYTES`.",
    ),
    "unsupported_media_type": ErrorCode(
        415,
        "Unsupported media type",
        "The `Content-Type` is neither `multipart/form-data` nor `image/*` (for a video, `video/*`).",
    ),
    "unsupported_format": ErrorCode(
        415, "Unsupported picture format", "The content is not JPEG, PNG or WebP; the file name is ignored."
    ),
    "too_many_pixels": ErrorCode(
        422,
        "Too many pixels",
        "The header declares over `SERVICE_MAX_PIXELS` pixels; in a video, over `SERVICE_MAX_VIDEO_PIXELS` per frame.",
    ),
    "unsupported_video": ErrorCode(
        415, "Unsupported video", "The file is not MP4, MOV, WebM or Matroska, or its codec is not supported."
    ),
    "video_too_long": ErrorCode(
        422, "Video too long", "The video exceeds `SERVICE_MAX_VIDEO_S` seconds or `SERVICE_MAX_VIDEO_FRAMES` frames."
    ),
    "no_frames": ErrorCode(422, "No video frames", "The file contains no video frames: only sound, or nothing."),
    "corrupt_video": ErrorCode(422, "Corrupt video", "No frame can be decoded within the decoder's limits."),
    "video_unavailable": ErrorCode(501, "Video not supported", "The extra `video` is not installed."),
    "image_too_small": ErrorCode(422, "Picture too small", "A side is shorter than `SERVICE_MIN_SIDE` pixels."),
    "animated_image": ErrorCode(
        422,
        "Animated picture",
        "An animation has no single verdict, whatever its number of frames; send a still picture.",
    ),
    "corrupt_image": ErrorCode(
        422, "Corrupt picture", "The picture cannot be decoded to its end, so it is not scored."
    ),
    "overloaded": ErrorCode(
        429,
        "Overloaded",
        "`SERVICE_MAX_QUEUE` pictures are waiting, or another limit on concurrent work is reached; see `Retry-After`.",
    ),
    "inference_failed": ErrorCode(500, "Inference failed", "The model failed or returned a result that is not finite."),
    "internal_error": ErrorCode(500, "Internal error", "A bug in the service; find it in the log by `request_id`."),
    "not_ready": ErrorCode(
        503, "Not ready", "The model is not loaded and warmed up, or cannot answer, or the service is shutting down."
    ),
    "deadline_exceeded": ErrorCode(
        504,
        "Deadline exceeded",
        "There was no verdict within `SERVICE_DEADLINE_S` (for a video, `SERVICE_VIDEO_DEADLINE_S`); the remaining "
        "work is dropped.",
    ),
    "not_found": ErrorCode(404, "Not found", "The path does not exist."),
    "unknown_model": ErrorCode(404, "Unknown model", "The service serves a different model or version."),
    "method_not_allowed": ErrorCode(405, "Method not allowed", "The path does not support this method."),
    "bad_request": ErrorCode(400, "Bad request", "Any other request that the framework rejects."),
}


class ScoreError(Exception):
    """An offline run cannot start or continue; the message is one line. Scored rows stay in the journal."""


class StartError(Exception):
    """The service cannot start; the message says why in one line."""


class RequestError(Exception):
    """Refusal of a request; ``code`` is a key of :data:`ERROR_CODES`."""

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def problem_details(code: str, detail: str, request_id: str) -> dict[str, Any]:
    """Return the body of a problem-details response."""
    kind = ERROR_CODES[code]
    return {
        "type": "about:blank",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }


def problem(
    code: str, detail: str, request_id: str, headers: dict[str, str] | None = None, **extensions: str
) -> JSONResponse:
    """Return the problem-details response of an error code; ``extensions`` are further members of its body."""
    content = problem_details(code, detail, request_id) | extensions
    return JSONResponse(content, content["status"], headers, MEDIA_TYPE)


def refuse(scope: Scope, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the error response to a request; its code goes into the scope for the log and the metrics."""
    scope["error_code"] = code
    # Clients of the Open Inference Protocol expect this member.
    extensions = {"error": detail} if scope["path"].startswith("/v2/") else {}
    return problem(code, detail, scope["request_id"], headers, **extensions)


def code_for_status(status: int) -> str:
    """Return the error code for an HTTP status raised by the framework."""
    known = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}
    return known.get(HTTPStatus(status), "bad_request" if status < 500 else "internal_error")
