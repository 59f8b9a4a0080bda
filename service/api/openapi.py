"""OpenAPI descriptions that the endpoints share: which problems an endpoint may answer with."""

from collections.abc import Collection
from typing import Any, Final

from service.errors import ERROR_CODES, MEDIA_TYPE

# Codes that only some paths answer.
OF_TENSORS: Final = frozenset(("malformed_tensor",))
OF_VIDEOS: Final = frozenset(("unsupported_video", "video_too_long", "no_frames", "corrupt_video", "video_unavailable"))
OF_PARAMETERS: Final = frozenset(("invalid_parameter",))


def problems(*statuses: int, without: Collection[str] = OF_VIDEOS) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these statuses, with the codes that each may carry, but for some."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [
            f"`{code}`: {kind.meaning}"
            for code, kind in ERROR_CODES.items()
            if kind.status == status and code not in without
        ]
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[status] = {"description": "\n\n".join(codes), "content": content}
    return responses
