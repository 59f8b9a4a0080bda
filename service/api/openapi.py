"""OpenAPI descriptions that several endpoints share: bodies with files, and problems."""

from collections.abc import Collection
from typing import Any, Final

from service.api.form import FIELD
from service.errors import ERROR_CODES, MEDIA_TYPE

# Error codes that only some paths return.
TENSOR_CODES: Final = frozenset(("malformed_tensor",))
VIDEO_CODES: Final = frozenset(
    ("unsupported_video", "video_too_long", "no_frames", "corrupt_video", "video_unavailable")
)
PARAMETER_CODES: Final = frozenset(("invalid_parameter",))
_BINARY: Final = {"type": "string", "format": "binary"}


def _multipart_body(field: dict[str, Any], **content: Any) -> dict[str, Any]:
    """Return the OpenAPI of a multipart body with the part ``file``, and of alternative bodies by media type."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: field}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}, **content}}}


def file_body(kind: str) -> dict[str, Any]:
    """Return the OpenAPI of a body with one file of the media type ``kind/*``."""
    return _multipart_body(_BINARY, **{f"{kind}/*": {"schema": _BINARY}})


def files_body() -> dict[str, Any]:
    """Return the OpenAPI of a body with several files."""
    return _multipart_body({"type": "array", "minItems": 1, "items": _BINARY})


def problems(*statuses: int, exclude: Collection[str] = VIDEO_CODES) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses for some statuses.

    Args:
        statuses: HTTP statuses.
        exclude: error codes that the endpoint does not return.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [
            f"`{code}`: {kind.meaning}"
            for code, kind in ERROR_CODES.items()
            if kind.status == status and code not in exclude
        ]
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[status] = {"description": "\n\n".join(codes), "content": content}
    return responses
