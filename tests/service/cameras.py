"""Cameras: WebSockets by hand, and their frames."""

import contextlib
import json
from collections.abc import Iterator

from websockets.sync.client import ClientConnection, connect

from tests.serving import PATIENCE


@contextlib.contextmanager
def camera(address: tuple[str, int], **options: object) -> Iterator[ClientConnection]:
    with connect(f"ws://{address[0]}:{address[1]}/stream", compression=None, max_size=None, **options) as opened:
        yield opened


def answer(opened: ClientConnection) -> dict:
    return json.loads(opened.recv(timeout=PATIENCE))
