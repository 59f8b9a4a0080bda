"""SIGTERM, several workers, and what a killed one leaves behind: the service as a process of its own."""

import json
import os
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, children, request, serving, until

QUIET = ("--log-level", "warning")


def open_upload(address: str, payload: bytes, first: int) -> socket.socket:
    """Begin an upload and send ``first`` bytes of it."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(payload)}\r\n\r\n"
    connection.sendall(head.encode() + payload[:first])
    return connection


def answer(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_drain_finishes_accepted_refuses_new_and_exits_0(tmp_path, jpeg, number):
    with serving(tmp_path, REPOSITORY, *QUIET) as (address, process), ExitStack() as stack:
        accepted = stack.enter_context(open_upload(address, jpeg, 1000))
        until(lambda: b"service_in_flight 1.0" in request(f"{address}/metrics")[1])
        process.send_signal(number)
        until(lambda: request(f"{address}/readyz")[0] == 503, process)
        assert request(f"{address}/healthz")[0] == 200
        status, body = request(f"{address}/predict", jpeg)
        assert (status, json.loads(body)["code"]) == (503, "not_ready")
        accepted.sendall(jpeg[1000:])
        finished = answer(accepted)
        assert finished.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in finished.lower()
        assert b'"verdict":' in finished
        assert process.wait(PATIENCE) == 0


def test_second_sigterm_is_ignored_and_second_ctrl_c_ends(tmp_path, jpeg):
    with (
        serving(tmp_path, REPOSITORY, *QUIET, "--shutdown-timeout-s", "3600", "--body-timeout-s", "3600") as (
            url,
            process,
        ),
        open_upload(url, jpeg, 1000),
    ):
        until(lambda: b"service_in_flight 1.0" in request(f"{url}/metrics")[1])
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            assert process.poll() is None
            process.send_signal(number)
            time.sleep(0.3)
        assert process.wait(PATIENCE) == 0


def test_what_does_not_finish_in_time_is_left(tmp_path, jpeg):
    options = (*QUIET, "--shutdown-timeout-s", "1", "--body-timeout-s", "3600")
    with serving(tmp_path, REPOSITORY, *options) as (url, process), open_upload(url, jpeg, 1000) as upload:
        until(lambda: b"service_in_flight 1.0" in request(f"{url}/metrics")[1])
        process.send_signal(signal.SIGTERM)
        refused = answer(upload)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b'"code":"not_ready"' in refused
        assert process.wait(PATIENCE) == 0


def test_idle_drain_answers_503_for_the_set_time(tmp_path):
    with serving(tmp_path, REPOSITORY, *QUIET, "--drain-s", "5") as (url, process):
        process.send_signal(signal.SIGTERM)
        until(lambda: request(f"{url}/readyz")[0] == 503, process)
        assert process.wait(PATIENCE) == 0


@pytest.mark.long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_workers_share_port_and_metrics_and_are_replaced(tmp_path, jpeg):
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"of another program")
    options = (*QUIET, "--workers", "2", "--metrics-dir", str(folder))
    with serving(tmp_path, REPOSITORY, *options) as (address, process):
        until(lambda: len(children(process.pid)) == 2)
        until(lambda: sum(request(f"{address}/predict", jpeg)[0] == 200 for _ in range(4)) == 4)
        before = metric(address, 'service_requests_total{path="/predict",status="200"}')
        with open_upload(address, jpeg, 1000) as upload:
            until(lambda: metric(address, "service_in_flight") == 1)
            killed = owner(upload, children(process.pid))
            os.kill(killed, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {killed}) == 2)
        until(lambda: request(f"{address}/predict", jpeg)[0] == 200)
        assert metric(address, 'service_requests_total{path="/predict",status="200"}') > before
        assert metric(address, "service_in_flight") == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert [path.name for path in folder.iterdir()] == ["counter_1.db"]


@pytest.mark.long
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    with serving(tmp_path, REPOSITORY, *QUIET, "--workers", "2") as (address, process):
        until(lambda: len(children(process.pid)) == 2)
        workers = children(process.pid)
        process.kill()
        until(lambda: not any(map(lives, workers)))
        assert request(f"{address}/healthz")[0] == 0


def lives(process: int) -> bool:
    """Return whether a process runs; one that has ended may stay as a zombie where nobody collects it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def owner(connection: socket.socket, processes: set[int]) -> int:
    """Return which process is at the other end of a connection of this machine."""
    ports = f":{connection.getpeername()[1]:04X}", f":{connection.getsockname()[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1][-5:], fields[2][-5:]) == ports:
            for process in processes:
                for descriptor in Path(f"/proc/{process}/fd").iterdir():
                    if str(descriptor.readlink()) == f"socket:[{fields[9]}]":
                        return process
    raise AssertionError("nobody has it")


def metric(address: str, series: str) -> float:
    for line in request(f"{address}/metrics")[1].decode().splitlines():
        if line.startswith(f"{series} "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no series {series}")
