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


def test_private_names_of_uvicorn_in_use_are_the_known_ones():
    """What is overridden or called by a private name exists, and nothing else is."""
    overridden = {
        extended.__name__: {name for name in vars(extended) if name in dir(base) and not name.startswith("__")}
        - {name for name in vars(base) if not name.startswith("_")}
        for extended, base in ((Connection, HttpToolsProtocol), (Socket, WebSocketsSansIOProtocol))
    }
    assert {name for names in overridden.values() for name in names if name.startswith("_")} == {"_start_asgi_task"}
    called = re.findall(r"super\(\)\.(_\w+)|self\.(_unset_\w+)", inspect.getsource(Connection))
    assert {name for pair in called for name in pair if name and name != "__init__"} <= set(dir(HttpToolsProtocol))
