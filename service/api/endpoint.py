"""Shared by the endpoints: the direct route, JSON responses, and the OpenAPI of file uploads."""

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.api.form import FIELD

_BINARY: Final = {"type": "string", "format": "binary"}


class DirectRoute(APIRoute):
    """A route that calls its endpoint with the request and returns its response.

    It skips FastAPI's dependency resolution, which no endpoint needs, and the validation and copy of a response that
    is built from checked values. OpenAPI still contains the schemas, and the tests validate responses against them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def json_response(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return compact JSON; NaN and infinity are an error."""
    body = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Response(body, headers=headers, media_type="application/json")


def multipart_body(field: dict[str, Any], **content: Any) -> dict[str, Any]:
    """Return the OpenAPI of a multipart body with the part ``file``, and of alternative bodies by media type."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: field}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}, **content}}}


def file_body(kind: str) -> dict[str, Any]:
    """Return the OpenAPI of a body with one file of the media type ``kind/*``."""
    return multipart_body(_BINARY, **{f"{kind}/*": {"schema": _BINARY}})


PICTURE_BODY: Final = file_body("image")
PICTURES_BODY: Final = multipart_body({"type": "array", "minItems": 1, "items": _BINARY})
