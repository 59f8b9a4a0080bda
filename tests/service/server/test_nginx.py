"""Behind nginx, as deploy/nginx.conf has it: one of two replicas killed, and both restarted in turn, under load."""

import getpass
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, free_port, request, until

pytestmark = pytest.mark.long

CLIENTS = 6


class Replicas:
    """Two replicas, each a process on a port of its own, and nginx before them."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder, self._model = folder, model
        self._ports, front = [free_port(), free_port()], free_port()
        self.address = f"http://127.0.0.1:{front}"
        self.processes = [self._start(port) for port in self._ports]
        text = (REPOSITORY / "deploy" / "nginx.conf").read_text()
        for old, new in ((8000, front), (8001, self._ports[0]), (8002, self._ports[1])):
            assert text.count(f"127.0.0.1:{old}") == 1
            text = text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
        (folder / "nginx.conf").write_text(text)
        command = ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log", "-g"]
        command.append(f"daemon off; user {getpass.getuser()};")  # whose folder this is
        self._nginx = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _start(self, port: int) -> subprocess.Popen:
        arguments = ["--port", str(port), "--model", str(self._model), "--faces", "off", "--log-level", "error"]
        arguments += ["--max-queue", "100"]
        return subprocess.Popen([sys.executable, "-m", "service", *arguments], cwd=REPOSITORY)

    def ready(self, number: int) -> None:
        """Wait for one to be."""
        until(lambda: request(f"http://127.0.0.1:{self._ports[number]}/readyz")[0] == 200)

    def restart(self, number: int) -> None:
        """Stop one as a rolling restart does, and start it anew."""
        self.processes[number].send_signal(signal.SIGTERM)
        assert self.processes[number].wait(PATIENCE) == 0
        self.processes[number] = self._start(self._ports[number])
        self.ready(number)

    def stop(self) -> None:
        """End all of them."""
        self._nginx.terminate()  # killed, it would leave its workers behind
        self._nginx.wait(PATIENCE)
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def replicas(make_model, tmp_path) -> Iterator[Replicas]:
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx (Debian: apt-get install nginx-light)")
    model = tmp_path / "model.onnx"
    model.write_bytes(make_model())
    running = Replicas(tmp_path, model)
    try:
        running.ready(0)
        running.ready(1)
        until(lambda: request(f"{running.address}/readyz")[0] == 200)
        yield running
    finally:
        running.stop()


@contextmanager
def load(address: str, picture: bytes) -> Iterator[Counter]:
    """Ask for verdicts all the while, and count the answers by status; 0: none."""
    statuses: Counter[object] = Counter()
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            while not ended.is_set():
                try:
                    response = client.post(
                        f"{address}/predict", content=picture, headers={"Content-Type": "image/jpeg"}
                    )
                    statuses[response.status_code] += 1
                except httpx.HTTPError as error:
                    statuses[type(error).__name__] += 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def served(number: int, replicas: Replicas) -> int:
    """Return how many predictions one replica has answered."""
    text = request(f"http://127.0.0.1:{replicas._ports[number]}/metrics")[1].decode()
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith("service_verdicts_total"))


def test_killed_replica_costs_at_most_its_requests_in_flight(replicas, jpeg):
    with load(replicas.address, jpeg) as statuses:
        until(lambda: statuses[200] > 200)
        assert min(served(0, replicas), served(1, replicas)) > 50  # both are at work
        replicas.processes[0].kill()
        before = statuses[200]
        until(lambda: statuses[200] > before + 300)
        replicas.processes[0].wait()
        replicas.processes[0] = replicas._start(replicas._ports[0])
        replicas.ready(0)
        until(lambda: served(0, replicas) > 50)  # it is asked again
    print("killed:", dict(statuses))
    lost = statuses.total() - statuses[200]
    assert lost <= CLIENTS


def test_a_camera_is_answered_through_it(replicas, jpeg):
    with connect(replicas.address.replace("http", "ws") + "/stream", compression=None) as camera:
        for number in range(20):
            camera.send(jpeg)
            answer = json.loads(camera.recv(timeout=PATIENCE))
            assert (answer["frame"], answer["dropped"], "prediction" in answer) == (number, 0, True)


def test_a_rolling_restart_under_load_loses_nothing(replicas, jpeg):
    with load(replicas.address, jpeg) as statuses:
        until(lambda: statuses[200] > 100)
        for number in (0, 1, 0, 1):
            replicas.restart(number)
            before = statuses[200]
            until(lambda before=before: statuses[200] > before + 50)
    print("restarted:", dict(statuses))
    assert set(statuses) == {200}


def test_refusals_pass_through_as_the_service_makes_them(replicas, jpeg):
    for body, status, code in ((b"junk", 415, "unsupported_format"), (jpeg[:500], 422, "corrupt_image")):
        answer = request(f"{replicas.address}/predict", body)
        assert answer[0] == status
        assert json.loads(answer[1])["code"] == code
    big = request(f"{replicas.address}/predict", b"\xff\xd8\xff" + bytes(21 << 20))
    assert big[0] == 413
    assert json.loads(big[1])["code"] == "payload_too_large"


def test_a_replica_that_hangs_up_is_no_end(replicas, jpeg):
    """A client that leaves nginx waiting does not wedge it either."""
    host, port = replicas.address.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(100))
    time.sleep(0.2)
    assert request(f"{replicas.address}/predict", jpeg)[0] == 200
