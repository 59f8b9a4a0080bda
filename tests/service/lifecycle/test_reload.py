"""Reload: a new model while requests are answered; what is no good changes nothing."""

import hashlib
import json
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.lifecycle.keys import new_key
from tests.conftest import REPOSITORY
from tests.service.reloads import ask, outcome, put, version
from tests.serving import PATIENCE, children, request, serving, until


@pytest.fixture
def jpeg(astronaut, encode) -> bytes:
    return encode(astronaut.resize((64, 64)))


def next_refusal(process: subprocess.Popen) -> None:
    """Wait for the log to say that a model was refused."""
    line = json.loads(process.stderr.readline())
    assert line["message"] == "new model is refused, and the one that answers stays"
    assert line["error"]


def storm(address: str, jpeg: bytes, while_under_way) -> list[tuple[int, bytes]]:
    """Ask for verdicts, six at a time, while something else is done."""
    answers, ended = [], threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(request(f"{address}/predict", jpeg))

    with ThreadPoolExecutor(6) as pool:
        for _ in range(6):
            pool.submit(ask)
        try:
            while_under_way()
        finally:
            ended.set()
    return answers


@pytest.mark.long
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_swaps_the_model_under_load_and_loses_nothing(models, jpeg, tmp_path, workers):
    path, first, second = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", workers, "--max-queue", "100")
    arguments += ("--log-level", "error")  # nobody reads the log, which would fill its pipe
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        if workers == "2":
            until(lambda: len(children(process.pid)) == 2)

        def swap() -> None:
            for content, wanted in ((second, "2"), (first, "1"), (second, "2")):
                put(path, content)
                process.send_signal(signal.SIGHUP)
                until(lambda wanted=wanted: all(version(address) == wanted for _ in range(10)))

        answers = storm(address, jpeg, swap)
        assert {status for status, _ in answers} == {200}
        versions = [json.loads(body)["model"]["version"] for _, body in answers]
        assert set(versions) == {"1", "2"}
        assert len(answers) > 50
        text = request(f"{address}/metrics")[1].decode()
        assert 'version="2"} 1.0' in text
        assert 'version="1"} 0.0' in text
        assert process.poll() is None


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.long)])
def test_invalid_new_model_is_refused_and_the_old_one_serves(models, jpeg, tmp_path, make_model, make_spec, workers):
    path, first, second = models
    bad = [second[: len(second) // 2], b"", b"junk", make_model(make_spec(), side=47), make_model(metadata={})]
    nan = make_model(make_spec(version="3"), weights=np.full((3, 2), float("nan")))
    arguments = ("--model", str(path), "--faces", "off", "--workers", workers, "--log-level", "warning")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        for counted, content in enumerate((*bad, nan), 1):
            put(path, content)
            process.send_signal(signal.SIGHUP)
            next_refusal(process)
            line = f'service_reloads_total{{outcome="refused"}} {counted}.0'
            until(lambda line=line: line in request(f"{address}/metrics")[1].decode())
            assert json.loads(request(f"{address}/predict", jpeg)[1])["model"]["version"] == "1"
        path.unlink()
        process.send_signal(signal.SIGHUP)
        put(path, second)
        process.send_signal(signal.SIGHUP)
        until(lambda: all(version(address) == "2" for _ in range(10)))
        if workers == "2":  # who takes a dead one's place has the new model too
            (victim, *_) = children(process.pid)
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(children(process.pid) - {victim}) == 2)
            put(path, first[:100])
            until(lambda: all(version(address) == "2" for _ in range(20)))
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_polling_finds_a_new_file_by_itself(models, tmp_path):
    path, _, second = models
    with serving(tmp_path, REPOSITORY, "--model", str(path), "--faces", "off", SERVICE_MODEL_POLL_S="0.1") as (
        address,
        _,
    ):
        path.write_bytes(second[: len(second) // 2])
        until(lambda: outcome(address, "refused"))
        assert version(address) == "1"
        path.write_bytes(second)
        until(lambda: version(address) == "2")


def test_a_model_that_is_not_the_pinned_one_is_refused(models, tmp_path):
    path, first, second = models
    pinned = hashlib.sha256(first).hexdigest()
    with serving(tmp_path, REPOSITORY, "--model", str(path), "--faces", "off", "--model-sha256", pinned) as (
        address,
        process,
    ):
        put(path, second)
        process.send_signal(signal.SIGHUP)
        until(lambda: outcome(address, "refused"))
        assert version(address) == "1"


def test_sighup_loads_new_keys_and_keeps_old_if_invalid(models, tmp_path):
    path, *_ = models
    keys, (_, line), (second_key, second_line) = tmp_path / "keys", new_key("alice"), new_key("bob")
    keys.write_text(line)
    with serving(tmp_path, REPOSITORY, "--model", str(path), "--faces", "off", "--api-keys", str(keys)) as (
        address,
        process,
    ):
        assert ask(address, second_key) == 401
        keys.write_text(second_line)
        process.send_signal(signal.SIGHUP)
        until(lambda: ask(address, second_key) == 200)
        keys.write_text("")
        process.send_signal(signal.SIGHUP)
        until(lambda: request(f"{address}/metrics")[1].decode().count('outcome="unchanged"} 2.0') == 1)
        assert ask(address, second_key) == 200


def test_request_begun_before_a_swap_uses_the_old_model(make_model, make_spec, make_server, jpeg):
    """Its body is still arriving when the model is swapped."""
    import socket

    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions

    states = []
    address = make_server(faces="off", on_state=states.append)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(head.encode() + jpeg[:100])
        (state,) = states
        until(lambda: state.admission.in_flight == 1)
        old = state.scorer
        state.serve(Engine.from_bytes(make_model(make_spec(version="2")), EngineOptions("cpu", 1)))
        assert old.users == 1
        connection.sendall(jpeg[100:])
        answer = connection.recv(65536)
    assert b'"version":"1"' in answer
    until(lambda: old.users == 0)
    old.close()
