"""Reload: a new model while requests are answered; what is no good changes nothing."""

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.lifecycle.file_watch import FileWatch
from service.lifecycle.keys import new_key
from tests.conftest import REPOSITORY
from tests.serving import children, free_port, request, serving, until

SHA = "sha256"


@pytest.fixture
def models(make_model, make_spec, tmp_path) -> tuple[Path, bytes, bytes]:
    """Where a model lies, the one that lies there, and another."""
    first, second = (make_model(make_spec(name="swapped", version=version)) for version in ("1", "2"))
    path = tmp_path / "model.onnx"
    path.write_bytes(first)
    return path, first, second


@pytest.fixture
def jpeg(astronaut, encode) -> bytes:
    return encode(astronaut.resize((64, 64)))


def put(path: Path, content: bytes) -> None:
    """Write a file as it should be: whole, then renamed."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def version(address: str) -> str:
    return json.loads(request(f"{address}/model")[1])["version"]


def outcome(address: str, name: str) -> bool:
    return f'service_reloads_total{{outcome="{name}"}} 0.0' not in request(f"{address}/metrics")[1].decode()


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


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_new_file_that_is_truncated_hostile_or_another_kind_is_refused_and_the_old_one_stays(
    models, jpeg, tmp_path, make_model, make_spec, workers
):
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
        _, log = process.communicate(timeout=20)
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


def test_polling_reaches_all_workers(models, tmp_path):
    path, _, second = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--model-poll-s", "0.2")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, _):
        put(path, second)
        until(lambda: all(version(address) == "2" for _ in range(10)))


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


def test_sighup_takes_up_new_keys_and_keeps_the_old_ones_where_they_are_broken(models, tmp_path):
    path, *_ = models
    keys, (_, line), (other, other_line) = tmp_path / "keys", new_key("alice"), new_key("bob")
    keys.write_text(line)
    with serving(tmp_path, REPOSITORY, "--model", str(path), "--faces", "off", "--api-keys", str(keys)) as (
        address,
        process,
    ):
        assert ask(address, other) == 401
        keys.write_text(other_line)
        process.send_signal(signal.SIGHUP)
        until(lambda: ask(address, other) == 200)
        keys.write_text("")
        process.send_signal(signal.SIGHUP)
        until(lambda: request(f"{address}/metrics")[1].decode().count('outcome="unchanged"} 2.0') == 1)
        assert ask(address, other) == 200


def ask(address: str, key: str) -> int:
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(f"{address}/model", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(asked, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_request_that_began_before_the_swap_is_answered_by_the_model_that_it_began_with(
    make_model, make_spec, make_server, jpeg
):
    """Its body is still arriving when the model is swapped."""
    import socket

    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions

    states = []
    address = make_server(faces="off", on_state=states.append)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    with socket.create_connection(address, timeout=20) as connection:
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


def test_a_watch_tells_of_a_change_once_it_has_settled(tmp_path):
    path = tmp_path / "file"
    watch = FileWatch([path])
    assert [watch.changed(), watch.changed()] == [True, False]  # of what was read before nobody knows when
    path.write_bytes(b"1")
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]
    path.write_bytes(b"22")
    assert not watch.changed()
    path.write_bytes(b"333")
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]
    path.unlink()
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]


def test_a_worker_that_dies_while_the_keys_are_broken_is_replaced_with_the_keys_that_the_others_have(models, tmp_path):
    path, *_ = models
    keys, (key, line) = tmp_path / "keys", new_key("alice")
    keys.write_text(line)
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--api-keys", str(keys))
    with serving(tmp_path, REPOSITORY, *arguments, "--log-level", "warning") as (address, process):
        keys.write_text("broken")
        process.send_signal(signal.SIGHUP)
        assert json.loads(process.stderr.readline())["message"] == "new API keys are refused, and the old ones stay"
        until(lambda: len(children(process.pid)) == 2)
        (victim, *_) = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {victim}) == 2)
        for _ in range(20):
            until(lambda: ask(address, key) == 200)
        assert process.poll() is None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_closed_terminal_still_ends_the_service(models, workers):
    import pty
    import sys

    path, *_ = models
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        arguments = ["-m", "service", "--model", str(path), "--faces", "off", "--port", str(port), "--workers", workers]
        os.execv(sys.executable, [sys.executable, *arguments, "--log-level", "error"])  # noqa: S606
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: request(f"{address}/readyz")[0] == 200, 60)
        os.kill(pid, signal.SIGHUP)  # a reload, as long as the terminal is there
        until(lambda: not outcome(address, "swapped") and outcome(address, "unchanged"))
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    until(lambda: request(f"{address}/readyz")[0] == 0)


@pytest.mark.long
def test_a_model_that_was_taken_back_while_it_was_tried_is_not_served(models, tmp_path):
    path, first, second = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--log-level", "error")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        put(path, second)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.7)  # the trial has begun
        put(path, first)
        process.send_signal(signal.SIGHUP)
        until(lambda: outcome(address, "unchanged"))
        time.sleep(2)
        assert not outcome(address, "swapped")
        assert {version(address) for _ in range(10)} == {"1"}


@pytest.mark.long
def test_what_was_laid_down_for_workers_and_tidied_away_is_laid_down_anew(models, tmp_path):
    path, *_ = models
    keys, (key, line) = tmp_path / "keys", new_key("alice")
    keys.write_text(line)
    series = tmp_path / "series"
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--api-keys", str(keys))
    arguments += ("--metrics-dir", str(series), "--log-level", "error")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        (folder,) = series.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        time.sleep(3)  # both have started
        for name in ("model.onnx", "keys.txt"):
            (folder / name).unlink()
        (victim, *_) = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {victim}) == 2)
        for _ in range(20):
            until(lambda: ask(address, key) == 200)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert list(series.iterdir()) == []


@pytest.mark.long
def test_a_worker_that_is_told_while_it_starts_is_not_killed_by_it(models, tmp_path):
    """Polled at every look, from the first on."""
    path, *_ = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        for _ in range(3):
            before = children(process.pid)
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            until(lambda before=before: children(process.pid) - before)
            process.send_signal(signal.SIGHUP)  # which reaches the new one while it imports
            (new,) = children(process.pid) - before
            time.sleep(2)
            assert new in children(process.pid)
            assert request(f"{address}/readyz")[0] == 200
