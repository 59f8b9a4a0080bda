"""The route of endpoints that read the request and build the response themselves."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """A route that calls its endpoint with the request and returns its response.

    It skips FastAPI's dependency resolution, which no endpoint needs, and the validation and copy of a response that
    is built from checked values. OpenAPI still contains the schemas, and the tests validate responses against them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint
