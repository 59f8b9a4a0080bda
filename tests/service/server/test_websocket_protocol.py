"""WebSockets: floods, endless messages, heads that are none, and clients that take nothing."""

import contextlib
import os
import socket
import struct
import time
from pathlib import Path

import pytest

from service.resources import resident_bytes
from tests.service.cameras import answer, camera
from tests.serving import PATIENCE, until


def raw(address: tuple[str, int]) -> socket.socket:
    """Return a WebSocket by hand, whose client need not read."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(PATIENCE)
    opened.connect(address)
    opened.sendall(
        b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += opened.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return opened


def message(opcode: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


@pytest.mark.long
@pytest.mark.parametrize("kind", ["frames", "pings", "pongs", "pieces"])
def test_flooding_client_that_reads_nothing_delays_no_client(make_server, frame, kind):
    """Pings are all answered, so that whoever does not take the answers is cut; of frames few are."""
    address = make_server(header_timeout_s=1.0)
    before = resident_bytes()
    flood = raw(address)
    many = {
        "frames": message(2, b"x") * 1000,
        "pings": message(9, os.urandom(100)) * 1000,
        "pongs": message(10, b"") * 1000,
        "pieces": bytes((0x00, 0x80, 0, 0, 0, 0)) * 1000,
    }[kind]
    if kind == "pieces":
        flood.sendall(bytes((0x02, 0x80, 0, 0, 0, 0)))
    cut, answers = False, 0
    flood.settimeout(0.2)
    with camera(address) as opened:
        while answers < 200 or not (cut or kind == "frames"):
            try:
                flood.send(many)
            except TimeoutError:  # nothing is read from it any more
                pass
            except OSError:
                cut = True
            opened.send(frame)
            assert "prediction" in answer(opened)
            answers += 1
            assert answers < 5000
    flood.close()
    assert resident_bytes() - before < 64 * 1024 * 1024


def test_a_message_that_never_ends_is_let_go(make_server):
    opened = raw(make_server(stream_idle_s=0.5))
    opened.sendall(bytes((0x02, 0x80 | 5)) + bytes(4) + b"begin")  # no frame follows that finishes it
    closed = opened.recv(100)
    assert closed[0] == 0x88
    assert struct.unpack(">H", closed[2:4]) == (1008,)
    opened.close()


def test_a_head_that_asks_for_a_socket_is_still_bounded(make_server):
    """What is checked of every request's head, before there is a WebSocket."""
    opened = socket.create_connection(make_server(header_timeout_s=0.5), timeout=PATIENCE)
    opened.sendall(b"GET /stream HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    assert b"408" in opened.recv(1000)
    opened.close()


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: y\r\n" * 130,
        b"X: " + b"y" * 9000 + b"\r\n",
        b"Sec-WebSocket-Version: 99\r\n",
    ],
)
def test_invalid_upgrade_head_is_refused_and_forgotten(make_server, lines):
    address = make_server(max_connections=3, header_timeout_s=0.5)
    for _ in range(5):
        opened = socket.create_connection(address, timeout=PATIENCE)
        opened.sendall(
            b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + lines + b"\r\n"
        )
        assert opened.recv(1000)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 426")
        with contextlib.suppress(ConnectionError):
            while opened.recv(1000):  # until the service has closed it
                pass
        opened.close()
    probe = socket.create_connection(address, timeout=PATIENCE)
    probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert probe.recv(1000).startswith(b"HTTP/1.1 200")
    probe.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_upgrade_behind_an_unread_answer_ends_the_connection(make_server):
    """Else that answer, and the file that it is read from, would stay for good."""
    address = make_server(header_timeout_s=1.0)
    before = open_files()
    for _ in range(5):
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect(address)
        opened.sendall(b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        opened.sendall(
            b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        time.sleep(0.1)
        opened.close()
    until(lambda: open_files() <= before)


def test_a_client_that_takes_nothing_and_falls_silent_is_let_go(make_server):
    """Its connection is closing, and would wait for ever for it to take the little that is left."""
    states = []
    address = make_server(header_timeout_s=0.5, stream_idle_s=0.5, on_state=states.append)
    flood = raw(address)
    flood.settimeout(0.2)
    with contextlib.suppress(TimeoutError, OSError):
        for _ in range(40):
            flood.sendall((message(9, os.urandom(100)) * 900) + message(2, b"x"))
    until(lambda: states[0].streams.held == 0)
    with contextlib.suppress(ConnectionError):
        flood.settimeout(PATIENCE)
        while flood.recv(65_536):  # what was there, and then the end
            pass
    flood.close()
