"""Chaos: storms of clients while things break, and what is left afterwards."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.service.hostile.storm import Outcome, storm
from tests.serving import PATIENCE, children, free_port, once_ready, request, serving, until

pytestmark = pytest.mark.long

QUIET = ("--log-level", "warning")
MODEL = REPOSITORY / "models" / "residual-cnn" / "0.1.3" / "model.onnx"


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


class Storm(threading.Thread):
    """A storm beside the test."""

    def __init__(self, address: str, clients: int, gone_is_fine: bool = False) -> None:
        super().__init__()
        self.outcome = Outcome()
        self._arguments = port_of(address), clients, 1, gone_is_fine
        self.start()

    def run(self) -> None:
        self.outcome = asyncio.run(storm(*self._arguments))

    def ended(self) -> Outcome:
        self.join()
        return self.outcome


def listening(address: str) -> int:
    """Return how many workers listen on a port; each has a socket of its own."""
    local_address, listen = f":{port_of(address):04X}", "0A"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(fields[1].endswith(local_address) and fields[3] == listen for fields in map(str.split, lines))


def test_storm_of_clients_gets_its_answers_and_leaves_nothing(tmp_path):
    with serving(tmp_path, REPOSITORY, *QUIET) as (address, _):
        outcome = asyncio.run(storm(port_of(address), 400))
        assert not outcome.wrong
        assert outcome.answers["good 200"] > 50
        assert outcome.answers["left"] > 30
        until(lambda: b"service_in_flight 0.0" in request(f"{address}/metrics")[1])
        series = request(f"{address}/metrics")[1]
        assert b"service_queue_length 0.0" in series
        assert request(f"{address}/readyz")[0] == 200


def test_sigterm_in_a_burst_gives_whole_answers_or_none(tmp_path):
    with serving(tmp_path, REPOSITORY, *QUIET) as (address, process):
        burst = Storm(address, 300, gone_is_fine=True)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        outcome = burst.ended()
        assert not outcome.wrong
        assert outcome.answers["good 200"]
        assert process.wait(PATIENCE) == 0


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
@pytest.mark.parametrize("fate", ["deleted", "cut", "replaced"])
def test_killed_worker_is_replaced_whatever_the_model_file_is(tmp_path, fate):
    """Found here: the new worker read the file again, could not start, and took the others with it."""
    model = Path(shutil.copy(MODEL, tmp_path / "model.onnx"))
    options = (*QUIET, "--model", str(model), "--faces", "off", "--workers", "2")
    with serving(tmp_path, REPOSITORY, *options) as (address, process):
        until(lambda: listening(address) == 2)
        before = request(f"{address}/model")[1]
        if fate == "deleted":
            model.unlink()
        elif fate == "cut":
            os.truncate(model, 1000)
        else:
            shutil.copy(REPOSITORY / "models" / "dilated-cnn-128" / "0.1.0" / "model.onnx", model)
        burst = Storm(address, 150, gone_is_fine=True)
        killed = min(children(process.pid))
        os.kill(killed, signal.SIGKILL)
        outcome = burst.ended()
        assert not outcome.wrong
        assert outcome.answers["good 200"]
        until(lambda: len(children(process.pid) - {killed}) == 2 and listening(address) == 2)
        answers = {request(f"{address}/model")[1] for _ in range(8)}
        assert answers == {before}  # also from the new one
        assert not asyncio.run(storm(port_of(address), 60)).wrong


@pytest.mark.parametrize("fate", ["deleted", "cut", "overwritten"])
def test_the_model_file_may_go_while_it_is_served(tmp_path, fate):
    model = Path(shutil.copy(MODEL, tmp_path / "model.onnx"))
    with serving(tmp_path, REPOSITORY, *QUIET, "--model", str(model), "--faces", "off") as (address, _):
        if fate == "deleted":
            model.unlink()
        elif fate == "cut":
            os.truncate(model, 0)
        else:
            model.write_bytes(b"\0" * model.stat().st_size)
        outcome = asyncio.run(storm(port_of(address), 80))
        assert not outcome.wrong
        assert outcome.answers["good 200"]


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path, astronaut, encode):
    """A full disk under the log."""
    port = free_port()
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "--port", str(port), "--log-level", "debug"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=full,
            stderr=full,
        )
        with once_ready(process, port) as address:
            assert [request(f"{address}/predict", encode(astronaut))[0] for _ in range(5)] == [200] * 5
            process.terminate()
            assert process.wait(PATIENCE) == 0


def test_a_clock_that_jumps_changes_no_deadline(make_server, astronaut, encode, monkeypatch):
    """Hours forth and back while requests are under way."""
    address = make_server(deadline_s=5, body_timeout_s=5, header_timeout_s=5)
    url = f"http://{address[0]}:{address[1]}"
    good = time.time
    for shift in (7200, -7200, 10**9, -(10**9)):
        monkeypatch.setattr(time, "time", lambda shift=shift: good() + shift)
        assert request(f"{url}/predict", encode(astronaut))[0] == 200
        assert request(f"{url}/readyz")[0] == 200
