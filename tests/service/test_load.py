"""Under load, on a real socket: what waits, what is refused, what is dropped, and who learns of a failure."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest

from service.engine import Engine, InferenceError


class Gate:
    """Holds up every run of the model until it is opened, and counts the pictures that came to it."""

    def __init__(self, monkeypatch) -> None:
        self.open = threading.Event()
        self.rows: list[int] = []
        self.fails = False
        good = Engine.logits

        def logits(engine, images):
            self.rows.append(len(images))
            assert self.open.wait(20)
            if self.fails:
                raise InferenceError("device lost")
            return good(engine, images)

        monkeypatch.setattr(Engine, "logits", logits)


@pytest.fixture
def gate(monkeypatch, tiny_engine) -> Gate:
    found = Gate(monkeypatch)
    yield found
    found.open.set()


@pytest.fixture
def jpeg(astronaut, encode) -> bytes:
    return encode(astronaut.resize((64, 64)))


class Clients:
    """Requests that are under way at the same time."""

    def __init__(self, address: tuple[str, int], payload: bytes) -> None:
        self.url = f"http://{address[0]}:{address[1]}"
        self._payload = payload
        self._pool = ThreadPoolExecutor(40)

    def post(self) -> httpx2.Response:
        return httpx2.post(
            f"{self.url}/predict", content=self._payload, headers={"content-type": "image/jpeg"}, timeout=30
        )

    def begin(self, count: int = 1):
        return [self._pool.submit(self.post) for _ in range(count)]

    def metric(self, name: str) -> float:
        for line in httpx2.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no series {name}")

    def wait_for(self, condition) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def clients(make_server, jpeg):
    def make(**settings) -> Clients:
        return Clients(make_server(faces="off", **settings), jpeg)

    return make


def test_a_full_queue_refuses_with_the_seconds_to_wait_and_loses_nobody(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, max_queue=3, max_in_flight=50)
    accepted = some.begin()
    some.wait_for(lambda: gate.rows)
    accepted += some.begin(3)
    some.wait_for(lambda: some.metric("service_in_flight") == 4)
    refused = some.post()
    assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert "3" in refused.json()["detail"]
    gate.open.set()
    assert [future.result().status_code for future in accepted] == [200] * 4
    assert some.metric("service_in_flight") == some.metric("service_queue_length") == 0


def test_retry_after_grows_with_the_work_that_waits(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, max_queue=2, max_in_flight=50)
    first = some.begin()
    some.wait_for(lambda: gate.rows)
    time.sleep(1.6)  # so long a picture takes here
    gate.open.set()
    first[0].result()
    gate.open.clear()
    waiting = some.begin(3)
    some.wait_for(lambda: some.metric("service_in_flight") == 3)
    refused = some.post()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "4")
    gate.open.set()
    assert [future.result().status_code for future in waiting] == [200] * 3


def test_probes_and_metrics_answer_while_every_thread_is_busy_and_the_queue_is_full(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, max_queue=1, max_in_flight=2)
    waiting = some.begin(2)
    some.wait_for(lambda: some.metric("service_in_flight") == 2)
    for path in ("/healthz", "/readyz", "/model", "/metrics"):
        assert httpx2.get(some.url + path, timeout=2).status_code == 200
    gate.open.set()
    assert {future.result().status_code for future in waiting} <= {200, 429}


def test_a_deadline_that_passes_is_504_and_the_work_left_is_dropped(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, deadline_s=0.4)
    running, queued = some.begin()[0], None
    some.wait_for(lambda: gate.rows)
    queued = some.begin()[0]
    for future in (running, queued):
        assert (future.result().status_code, future.result().json()["code"]) == (504, "deadline_exceeded")
        assert "0.4 s" in future.result().json()["detail"]
    gate.open.set()
    some.wait_for(lambda: some.metric("service_queue_length") == 0)
    assert some.post().status_code == 200
    assert gate.rows == [1, 1]  # what was running, and the last; never the one that waited in vain


def test_a_client_that_left_costs_no_inference(clients, gate, jpeg):
    some = clients(decode_threads=1, batches_in_flight=1)
    first = some.begin()
    some.wait_for(lambda: gate.rows)
    host, port = some.url.removeprefix("http://").split(":")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(head.encode() + jpeg)
        some.wait_for(lambda: some.metric("service_in_flight") == 2)
    some.wait_for(lambda: some.metric("service_in_flight") == 1)  # its permit is back before its turn came
    gate.open.set()
    assert first[0].result().status_code == 200
    assert some.post().status_code == 200
    assert gate.rows == [1, 1]


def test_pictures_that_wait_share_a_run(clients, gate):
    some = clients(decode_threads=4, batches_in_flight=1, max_batch=8)
    first = some.begin()
    some.wait_for(lambda: gate.rows)
    rest = some.begin(6)
    some.wait_for(lambda: some.metric("service_queue_length") == 6)
    gate.open.set()
    assert {future.result().status_code for future in first + rest} == {200}
    assert gate.rows == [1, 6]
    assert some.metric('service_batch_size_bucket{le="8.0"}') == 2.0
    assert some.metric("service_batch_size_sum") == 7.0


def test_a_failing_run_reaches_every_waiter_of_it_and_nobody_else(clients, gate):
    some = clients(decode_threads=4, batches_in_flight=1, max_batch=8)
    gate.fails = True
    first = some.begin()
    some.wait_for(lambda: gate.rows)
    rest = some.begin(3)
    some.wait_for(lambda: some.metric("service_queue_length") == 3)
    gate.open.set()
    for future in first + rest:
        assert (future.result().status_code, future.result().json()["code"]) == (500, "inference_failed")
    gate.fails = False
    assert some.post().status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        np.full((1, 2), np.nan, np.float32),
        np.float32([[np.inf, 0]]),
        np.zeros((2, 2), np.float32),
        np.zeros((1, 3), np.float32),
        np.zeros((0, 2), np.float32),
    ],
)
def test_an_answer_that_is_none_is_an_error(make_client, make_model, jpeg, monkeypatch, answer):
    class Session:
        def run(self, *_):
            return [answer]

    client = make_client(faces="off")
    engine = client.app.state.service.scorer.engine
    broken = Engine(engine.spec, engine.sha256, engine.provider, 1, Session())
    monkeypatch.setattr(client.app.state.service.scorer, "engine", broken)
    response = client.post("/predict", content=jpeg, headers={"content-type": "image/jpeg"})
    assert (response.status_code, response.json()["code"]) == (500, "inference_failed")
    assert client.get("/readyz").status_code == 503
