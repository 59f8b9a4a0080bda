"""Guard: lets nobody in without an API key, but to what probes, scrapers and readers of the documentation need."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import refuse
from service.lifecycle.state import State

# Everything else is guarded, whatever is added.
_OPEN = frozenset(
    ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/docs", "/openapi.json", "/")
)
_OPEN_BELOW = ("/static-offline-docs/", "/page/")
_SCHEME = "bearer "
# Followed by the key; answered by the subprotocol that is offered beside it.
KEY_PROTOCOL = "bearer."


def is_open(path: str) -> bool:
    """Return whether a path answers without a key."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


class Guard:
    """Refuses who carries no ``Authorization: Bearer KEY`` with a known key; before a byte of the body is read."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        keys = self._state.keys
        if scope["type"] != "lifespan" and keys is not None and not is_open(scope["path"]):
            given = _given(scope)
            carried = given[: len(_SCHEME)].lower() == _SCHEME
            key = given[len(_SCHEME) :].strip()
            scope["client_name"] = keys.holder(key) if carried else None
            # For who stays: keys may change meanwhile.
            scope["is_let_in"] = lambda: self._state.keys is None or self._state.keys.holder(key) is not None
            if scope["client_name"] is None:
                detail = "the API key is not known here" if carried else "send an API key: Authorization: Bearer KEY"
                response = refuse(scope, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _given(scope: Scope) -> str:
    """Return what a request carries as ``Authorization``; a WebSocket of a browser can in its subprotocols alone."""
    for protocol in scope.get("subprotocols", ()):
        if protocol.startswith(KEY_PROTOCOL):
            return _SCHEME + str(protocol.removeprefix(KEY_PROTOCOL))
    return Headers(scope=scope).get("authorization", "")
