"""``WS /stream``: frames in, the verdict on the newest one out; and clients that flood, stall or are silent."""

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from service.api.schemas import Prediction
from service.lifecycle.keys import Keys, new_key
from service.resources import resident_bytes


@pytest.fixture
def frame(astronaut, encode) -> bytes:
    return encode(astronaut.crop((120, 0, 320, 200)))


@contextlib.contextmanager
def camera(address: tuple[str, int], **options: object) -> Iterator[ClientConnection]:
    with connect(f"ws://{address[0]}:{address[1]}/stream", compression=None, max_size=None, **options) as opened:
        yield opened


def answer(opened: ClientConnection) -> dict:
    return json.loads(opened.recv(timeout=10))


def test_a_frame_is_answered_as_predict_answers_it(make_server, frame):
    import urllib.request

    address = make_server()
    with camera(address) as opened:
        for number in range(3):
            opened.send(frame)
            found = answer(opened)
            assert (found["frame"], found["dropped"]) == (number, 0)
            Prediction.model_validate(found["prediction"], extra="forbid")
    asked = urllib.request.Request(f"http://{address[0]}:{address[1]}/predict", frame, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(asked, timeout=10) as response:
        alone = json.load(response)
    del alone["timings_ms"], found["prediction"]["timings_ms"]
    assert found["prediction"] == alone


def test_of_frames_that_come_faster_than_they_are_scored_the_newest_is_answered(make_server, astronaut, encode):
    large = encode(astronaut.resize((3000, 3000)))
    with camera(make_server()) as opened:
        for _ in range(30):
            opened.send(large)
        answers = [answer(opened)]
        while answers[-1]["frame"] < 29:
            answers.append(answer(opened))
    numbers = [found["frame"] for found in answers]
    assert numbers == sorted(set(numbers))
    assert len(answers) + answers[-1]["dropped"] == 30
    assert answers[-1]["dropped"] > 0


def test_a_frame_that_is_none_costs_itself_alone(make_server, frame):
    with camera(make_server()) as opened:
        for payload, code in (
            (b"GIF89a", "unsupported_format"),
            (b"", "empty_payload"),
            (frame[:300], "corrupt_image"),
        ):
            opened.send(payload)
            assert answer(opened)["problem"]["code"] == code
        opened.send("no picture")
        assert answer(opened)["problem"]["code"] == "unsupported_format"
        opened.send(frame)
        assert "prediction" in answer(opened)


def test_a_frame_that_is_too_large_ends_the_connection(make_server):
    with camera(make_server(max_bytes=5000)) as opened:
        opened.send(bytes(6000))
        with pytest.raises(ConnectionClosed) as closed:
            answer(opened)
    assert closed.value.rcvd.code == 1009


def test_a_silent_camera_is_let_go(make_server):
    with camera(make_server(stream_idle_s=0.3)) as opened:
        with pytest.raises(ConnectionClosed) as closed:
            answer(opened)
        assert (closed.value.rcvd.code, "0.3" in closed.value.rcvd.reason) == (1008, True)


def test_one_more_camera_than_there_is_room_for_is_429(make_server, frame):
    address = make_server(max_streams=1)
    with camera(address) as opened:
        opened.send(frame)
        answer(opened)
        with pytest.raises(InvalidStatus) as refused, camera(address):
            pass
        response = refused.value.response
        assert (response.status_code, json.loads(response.body)["code"]) == (429, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
    end = time.monotonic() + 5
    while time.monotonic() < end:  # until the first one has gone
        with contextlib.suppress(InvalidStatus), camera(address) as opened:
            opened.send(frame)
            assert "prediction" in answer(opened)
            return
    pytest.fail("the first camera's place was not freed")


def test_keys_are_asked_for_in_a_header_or_as_browsers_can_carry_them(make_server, frame, tmp_path):
    key, line = new_key("camera")
    path = tmp_path / "keys.txt"
    path.write_text(f"{line}\n")
    assert Keys.load(path).holder(key) == "camera"
    address = make_server(api_keys=path)
    for carried in ({}, {"subprotocols": ["faces", "bearer.fa_other"]}, {"subprotocols": ["faces"]}):
        with pytest.raises(InvalidStatus) as refused, camera(address, **carried):
            pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["code"] == "unauthorized"
    header = {"additional_headers": {"Authorization": f"Bearer {key}"}}
    for carried, chosen in ((header, None), ({"subprotocols": ["faces", f"bearer.{key}"]}, "faces")):
        with camera(address, **carried) as opened:
            assert opened.subprotocol == chosen
            opened.send(frame)
            assert "prediction" in answer(opened)


def test_there_is_no_socket_elsewhere(make_server):
    host, port = make_server()
    for path in ("", "predict", "streams", "v2/models/tiny/infer"):
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://{host}:{port}/{path}"):
            pass
        assert refused.value.response.status_code == 403


def test_a_service_that_stops_lets_cameras_go(make_server, frame):
    states = []
    address = make_server(on_state=states.append)
    with camera(address) as opened:
        opened.send(frame)
        answer(opened)
        states[0].drain()
        with pytest.raises(ConnectionClosed) as closed:
            answer(opened)
        assert closed.value.rcvd.code == 1001
        with pytest.raises(InvalidStatus) as refused, camera(address):
            pass
        assert refused.value.response.status_code == 503


def raw(address: tuple[str, int]) -> socket.socket:
    """Return a WebSocket by hand, whose client need not read."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(10)
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
def test_a_client_that_floods_and_reads_nothing_costs_nobody_else(make_server, frame, kind):
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
    sent, end, cut = 0, time.monotonic() + (6 if kind == "frames" else 30), False
    flood.settimeout(0.2)
    with camera(address) as opened:
        while time.monotonic() < end and not cut:
            try:
                sent += flood.send(many)
            except TimeoutError:  # nothing is read from it any more
                pass
            except OSError:
                cut = True
            opened.send(frame)
            assert "prediction" in answer(opened)
    flood.close()
    assert cut or kind == "frames", f"{sent} bytes were taken"
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
    opened = socket.create_connection(make_server(header_timeout_s=0.5), timeout=10)
    opened.sendall(b"GET /stream HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    assert b"408" in opened.recv(1000)
    opened.close()


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X: y\r\n" * 130,
        b"X: " + b"y" * 9000 + b"\r\n",
        b"Sec-WebSocket-Version: 99\r\n",
    ],
)
def test_a_head_that_is_none_is_refused_and_forgotten(make_server, more):
    address = make_server(max_connections=3, header_timeout_s=0.5)
    for _ in range(5):
        opened = socket.create_connection(address, timeout=10)
        opened.sendall(
            b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + more + b"\r\n"
        )
        assert opened.recv(1000)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 426")
        with contextlib.suppress(ConnectionError):
            while opened.recv(1000):  # until the service has closed it
                pass
        opened.close()
    probe = socket.create_connection(address, timeout=10)
    probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert probe.recv(1000).startswith(b"HTTP/1.1 200")
    probe.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_an_upgrade_behind_an_answer_that_nobody_takes_ends_the_connection(make_server):
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
    end = time.monotonic() + 10
    while time.monotonic() < end and open_files() > before:
        time.sleep(0.05)
    assert open_files() <= before


def test_a_key_that_is_taken_back_ends_its_camera(make_server, frame, tmp_path):
    key, line = new_key("camera")
    path = tmp_path / "keys.txt"
    path.write_text(f"{line}\n")
    states = []
    address = make_server(api_keys=path, on_state=states.append)
    with camera(address, additional_headers={"Authorization": f"Bearer {key}"}) as opened:
        opened.send(frame)
        assert "prediction" in answer(opened)
        path.write_text(new_key("other")[1] + "\n")
        states[0].keys = Keys.load(path)
        opened.send(frame)
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):  # what was on its way, and then the end
                answer(opened)
        assert (opened.close_code, "API key" in opened.close_reason) == (1008, True)


def test_a_client_that_takes_nothing_and_falls_silent_is_let_go(make_server):
    """Its connection is closing, and would wait for ever for it to take the little that is left."""
    states = []
    address = make_server(header_timeout_s=0.5, stream_idle_s=0.5, on_state=states.append)
    flood = raw(address)
    flood.settimeout(0.2)
    with contextlib.suppress(TimeoutError, OSError):
        for _ in range(40):
            flood.sendall((message(9, os.urandom(100)) * 900) + message(2, b"x"))
    end = time.monotonic() + 10
    while time.monotonic() < end and states[0].streams.held:
        time.sleep(0.05)
    assert states[0].streams.held == 0
    with contextlib.suppress(ConnectionError):
        flood.settimeout(10)
        while flood.recv(65_536):  # what was there, and then the end
            pass
    flood.close()
