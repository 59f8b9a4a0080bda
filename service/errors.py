"""Errors as the client sees them: RFC 9457 problem details with a stable ``code``.

The way of a request, and where it can end::

    client -> bytes -> picture -> tensor -> logits -> verdict
           |        |                    |
           |        |                    500 inference_failed
           |        415, 422 (the contract's ImageError)
           400, 408, 413, 415, 429, 431, 503; and 504 from the bytes' arrival on
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One way to be refused: HTTP status, title, and what it means, as documented."""

    status: int
    title: str
    meaning: str


ERROR_CODES: dict[str, ErrorCode] = {
    "malformed_tensor": ErrorCode(
        400, "Not what the model takes", "The `/v2` request, or its tensor, is malformed or of a wrong type or shape."
    ),
    "invalid_parameter": ErrorCode(
        400, "Invalid parameter", "A parameter in the address has a value that it cannot have."
    ),
    "unauthorized": ErrorCode(
        401, "No valid API key", "`SERVICE_API_KEYS` names none that the request carries (`Authorization: Bearer KEY`)."
    ),
    "empty_payload": ErrorCode(400, "Empty payload", "The body, or the part `file`, holds no bytes."),
    "malformed_multipart": ErrorCode(400, "Malformed multipart body", "The multipart body cannot be parsed."),
    "missing_file": ErrorCode(400, "No part named 'file'", "A multipart body must hold one part named `file`."),
    "too_many_files": ErrorCode(
        400,
        "Too many parts",
        "A multipart body must hold the part `file` alone; a batch parts `file` alone, at most `SERVICE_MAX_FILES`.",
    ),
    "client_disconnected": ErrorCode(400, "Client left", "The client closed the connection before its answer."),
    "body_timeout": ErrorCode(
        408,
        "Body too slow",
        "The body took over `SERVICE_BODY_TIMEOUT_S` (a video `SERVICE_VIDEO_BODY_TIMEOUT_S`), or gave way to others "
        "(`SERVICE_MAX_BUFFERED_MIB`).",
    ),
    "header_timeout": ErrorCode(408, "Headers too slow", "The headers did not end within `SERVICE_HEADER_TIMEOUT_S`."),
    "headers_too_large": ErrorCode(431, "Headers too large", "Request line and headers have over 64 KiB."),
    "payload_too_large": ErrorCode(
        413,
        "Payload too large",
        "A picture has more than `SERVICE_MAX_BYTES` bytes, a video more than `SERVICE_MAX_VIDEO_BYTES`, or several "
        "pictures together more than `SERVICE_MAX_REQUEST_BYTES`.",
    ),
    "unsupported_media_type": ErrorCode(
        415,
        "Unsupported media type",
        "The request is neither `multipart/form-data` nor `image/*` (for a video `video/*`).",
    ),
    "unsupported_format": ErrorCode(
        415, "Unsupported picture format", "The content is not JPEG, PNG or WebP, whatever its name says."
    ),
    "too_many_pixels": ErrorCode(
        422,
        "Too many pixels",
        "The header announces more than `SERVICE_MAX_PIXELS`; of a video's frames, than `SERVICE_MAX_VIDEO_PIXELS`.",
    ),
    "unsupported_video": ErrorCode(
        415, "Unsupported video", "The file is not MP4, MOV, WebM or Matroska, or its codec is none that is read."
    ),
    "video_too_long": ErrorCode(
        422, "Video too long", "It lasts over `SERVICE_MAX_VIDEO_S`, or has over `SERVICE_MAX_VIDEO_FRAMES` frames."
    ),
    "no_frames": ErrorCode(422, "No video in it", "The file holds no frames: sound alone, or nothing."),
    "corrupt_video": ErrorCode(422, "Corrupt video", "No frame of it can be decoded within the decoder's bounds."),
    "video_unavailable": ErrorCode(501, "Videos are not read here", "The extra `video` is not installed."),
    "image_too_small": ErrorCode(422, "Picture too small", "A side is shorter than `SERVICE_MIN_SIDE`."),
    "animated_image": ErrorCode(
        422,
        "Animated picture",
        "An animation, of however many frames, has no single verdict; send one as a still picture.",
    ),
    "corrupt_image": ErrorCode(
        422, "Corrupt picture", "The decoder cannot read the picture to its end; it is not scored."
    ),
    "overloaded": ErrorCode(
        429,
        "Overloaded",
        "`SERVICE_MAX_QUEUE` pictures wait, or another limit on what is under way is reached; see `Retry-After`.",
    ),
    "inference_failed": ErrorCode(500, "Inference failed", "The model failed or gave no finite answer."),
    "internal_error": ErrorCode(500, "Internal error", "A defect of the service; the log has it by `request_id`."),
    "not_ready": ErrorCode(
        503, "Not ready", "The model is not loaded and warmed, cannot answer, or the service is shutting down."
    ),
    "deadline_exceeded": ErrorCode(
        504,
        "Deadline exceeded",
        "There was no verdict within `SERVICE_DEADLINE_S` (for a video `SERVICE_VIDEO_DEADLINE_S`); the rest of the "
        "work is dropped.",
    ),
    "not_found": ErrorCode(404, "Not found", "No such path."),
    "unknown_model": ErrorCode(404, "No such model", "Another model, or another version, is served."),
    "method_not_allowed": ErrorCode(405, "Method not allowed", "The path does not answer this method."),
    "bad_request": ErrorCode(400, "Bad request", "Any other refusal by the framework."),
}


class StartError(Exception):
    """The service cannot start; the message says why in one line."""


class RequestError(Exception):
    """A request that is refused; ``code`` is a key of :data:`ERROR_CODES`."""

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
    code: str, detail: str, request_id: str, headers: dict[str, str] | None = None, **more: str
) -> JSONResponse:
    """Return the problem-details response of one error code, with further members where there are any."""
    content = problem_details(code, detail, request_id) | more
    return JSONResponse(content, content["status"], headers, MEDIA_TYPE)


def refuse(scope: Scope, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the refusal of one request, whose code the log and the metrics find in its scope."""
    scope["error_code"] = code
    # The Open Inference Protocol's clients look for this name.
    more = {"error": detail} if scope["path"].startswith("/v2/") else {}
    return problem(code, detail, scope["request_id"], headers, **more)


def code_for_status(status: int) -> str:
    """Return the error code for a status that the framework raised itself."""
    known = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}
    return known.get(HTTPStatus(status), "bad_request" if status < 500 else "internal_error")
