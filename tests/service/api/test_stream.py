"""``WS /stream``: frames in, the verdict on the newest one out."""

import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from service.api.schemas import Prediction
from service.lifecycle.keys import Keys, new_key
from tests.service.cameras import answer, camera
from tests.serving import PATIENCE, until


def test_a_frame_is_answered_as_predict_answers_it(make_server, frame):
    import urllib.request

    address = make_server()
    with camera(address) as opened:
        for number in range(3):
            opened.send(frame)
            message = answer(opened)
            assert (message["frame"], message["dropped"]) == (number, 0)
            Prediction.model_validate(message["prediction"], extra="forbid")
    asked = urllib.request.Request(f"http://{address[0]}:{address[1]}/predict", frame, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
        alone = json.load(response)
    del alone["timings_ms"], message["prediction"]["timings_ms"]
    assert message["prediction"] == alone


def test_frames_faster_than_scoring_only_newest_is_answered(make_server, astronaut, encode):
    large = encode(astronaut.resize((3000, 3000)))
    with camera(make_server()) as opened:
        for _ in range(30):
            opened.send(large)
        answers = [answer(opened)]
        while answers[-1]["frame"] < 29:
            answers.append(answer(opened))
    numbers = [message["frame"] for message in answers]
    assert numbers == sorted(set(numbers))
    assert len(answers) + answers[-1]["dropped"] == 30
    assert answers[-1]["dropped"] > 0


def test_invalid_frame_fails_alone(make_server, frame):
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

    def is_answered() -> bool:
        with contextlib.suppress(InvalidStatus), camera(address) as opened:
            opened.send(frame)
            return "prediction" in answer(opened)
        return False

    until(is_answered)  # once the first one has gone


def test_stream_key_is_read_from_header_or_subprotocol(make_server, frame, tmp_path):
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
