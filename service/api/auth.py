"""API key authentication; probes, metrics, the documentation and the page need no key."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import refuse
from service.lifecycle.state import State

# Every other path requires a key, also paths that are added later.
_OPEN_PATHS = frozenset(
    ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/docs", "/openapi.json", "/")
)
_OPEN_PREFIXES = ("/static-offline-docs/", "/page/")
_SCHEME = "bearer "
# Prefix of the WebSocket subprotocol that carries the key; the server selects the other subprotocol on offer.
_KEY_PROTOCOL = "bearer."


def is_open(path: str) -> bool:
    """Return whether a path is served without a key."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_PREFIXES)


class Guard:
    """ASGI middleware that requires ``Authorization: Bearer KEY`` with a known key, before the body is read."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        keys = self._state.keys
        if scope["type"] != "lifespan" and keys is not None and not is_open(scope["path"]):
            authorization = _authorization(scope)
            is_bearer = authorization[: len(_SCHEME)].lower() == _SCHEME
            key = authorization[len(_SCHEME) :].strip()
            scope["client_name"] = keys.holder(key) if is_bearer else None
            # Long-lived connections check again, because the keys may change.
            scope["is_let_in"] = lambda: self._state.keys is None or self._state.keys.holder(key) is not None
            if scope["client_name"] is None:
                detail = (
                    "unknown API key"
                    if is_bearer
                    else "an API key is required; send the header Authorization: Bearer KEY"
                )
                response = refuse(scope, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _authorization(scope: Scope) -> str:
    """Return the ``Authorization`` value; browsers can send it for a WebSocket only as a subprotocol."""
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(_KEY_PROTOCOL):
            return _SCHEME + str(protocol.removeprefix(_KEY_PROTOCOL))
    return Headers(scope=scope).get("authorization", "")
