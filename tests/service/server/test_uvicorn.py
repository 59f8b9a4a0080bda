"""What this project overrides of uvicorn is what it was tested with.

The protocols and the supervisor extend classes of uvicorn that are not its public interface. Where a test here fails,
read what changed in uvicorn, hold ``service/server`` against it, run its tests, and only then record the new digest.
"""

import hashlib
import inspect
import re
import textwrap
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from service.server.http_protocol import Connection
from service.server.supervisor import Supervisor
from service.server.websocket_protocol import Socket

DIGESTS = {
    "HttpToolsProtocol": "18fdf324b11bf160",
    "RequestResponseCycle": "e67d470d435dcc1c",
    "WebSocketsSansIOProtocol": "0bbcec98938432f7",
    "Multiprocess": "ea4650ac0ee7c09c",
    "Process": "c3105a4518e3195a",
}


def digest(kind: type[Any]) -> str:
    """Return a digest of a class's source, which its comments and line breaks are part of."""
    return hashlib.sha256(textwrap.dedent(inspect.getsource(kind)).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "kind", [HttpToolsProtocol, RequestResponseCycle, WebSocketsSansIOProtocol, Multiprocess, Process]
)
def test_extended_class_of_uvicorn_is_the_tested_one(kind):
    """A new uvicorn may call what is overridden here at other times, or keep its state elsewhere."""
    assert digest(kind) == DIGESTS[kind.__name__], f"{kind.__name__} of uvicorn has changed: see the top of this file"


@pytest.mark.parametrize(
    ("extended", "base"),
    [(Connection, HttpToolsProtocol), (Socket, WebSocketsSansIOProtocol), (Supervisor, Multiprocess)],
)
def test_every_public_method_overrides_one_of_uvicorn(extended, base):
    """A method that uvicorn has renamed would never be called again."""
    own = {name for name, value in vars(extended).items() if callable(value) and not name.startswith("_")}
    added = {"cut"} if extended is Connection else set()
    assert own - added <= set(dir(base))


@pytest.mark.parametrize(
    ("extended", "base", "overridden"),
    [
        (Connection, HttpToolsProtocol, {"_start_asgi_task"}),
        (Socket, WebSocketsSansIOProtocol, set()),
        (Supervisor, Multiprocess, set()),
    ],
)
def test_private_methods_of_uvicorn_overridden_are_known(extended, base, overridden):
    """A private method that uvicorn renames is no longer overridden; one that it adds may collide."""
    private = {name for name in vars(extended) if name.startswith("_") and not name.startswith("__")}
    assert private & set(dir(base)) == overridden


def test_private_methods_of_uvicorn_called_exist():
    """Those that are called by ``self`` or ``super()`` and are not defined here."""
    called = set(re.findall(r"(?:super\(\)|self)\.(_[a-z]\w+)\(", inspect.getsource(Connection)))
    inherited = called - set(vars(Connection))
    assert inherited == {"_unset_keepalive_if_required"}
    assert inherited <= set(dir(HttpToolsProtocol))
