"""Direct: routes whose endpoint takes the request and returns the response."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """A route without what FastAPI does around an endpoint.

    It would resolve dependencies that there are none of, and validate and copy an answer that is
    made from checked values; the schemas stand in OpenAPI all the same, and tests hold answers against them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint
