"""OpenAPI descriptions of the problems that the endpoints may return."""

from collections.abc import Collection
from typing import Any, Final

from service.errors import ERROR_CODES, MEDIA_TYPE

# Error codes that only some paths return.
TENSOR_CODES: Final = frozenset(("malformed_tensor",))
VIDEO_CODES: Final = frozenset(
    ("unsupported_video", "video_too_long", "no_frames", "corrupt_video", "video_unavailable")
)
PARAMETER_CODES: Final = frozenset(("invalid_parameter",))


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
