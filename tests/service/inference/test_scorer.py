"""Under load, on a real socket: what waits, what is refused, what is dropped, and who learns of a failure."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import FINDER
from service.inference.engine import Engine, InferenceError
from service.inference.engine_options import EngineOptions
from service.settings import Settings
from tests.serving import PATIENCE, until


class Gate:
    """Holds up every run of the model until it is opened, and counts the pictures that came to it."""

    def __init__(self, monkeypatch) -> None:
        self.open = threading.Event()
        self.rows: list[int] = []
        self.fails = False
        good = Engine.logits

        def logits(engine, images):
            self.rows.append(len(images))
            assert self.open.wait(PATIENCE)
            if self.fails:
                raise InferenceError("device lost")
            return good(engine, images)

        monkeypatch.setattr(Engine, "logits", logits)


@pytest.fixture
def gate(monkeypatch, tiny_engine) -> Gate:
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


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
        headers = {"content-type": "image/jpeg"}
        return httpx2.post(f"{self.url}/predict", content=self._payload, headers=headers, timeout=PATIENCE)

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=PATIENCE)

    def begin(self, count: int = 1):
        return [self._pool.submit(self.post) for _ in range(count)]

    def metric(self, name: str) -> float:
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no series {name}")


@pytest.fixture
def clients(make_server, jpeg):
    def make(**settings) -> Clients:
        return Clients(make_server(**({"faces": "off", "deadline_s": 3600} | settings)), jpeg)

    return make


def test_full_queue_refuses_with_retry_after_and_loses_no_job(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, max_queue=3, max_in_flight=50)
    accepted = some.begin()
    until(lambda: gate.rows)
    accepted += some.begin(3)
    until(lambda: some.metric("service_queue_length") == 3)
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
    until(lambda: gate.rows)
    time.sleep(1.6)  # so long a picture takes here
    gate.open.set()
    first[0].result()
    gate.open.clear()
    waiting = some.begin()
    until(lambda: len(gate.rows) == 2)
    waiting += some.begin(2)
    until(lambda: some.metric("service_queue_length") == 2)
    refused = some.post()
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 4  # two wait, and one takes 1.6 s or more
    gate.open.set()
    assert [future.result().status_code for future in waiting] == [200] * 3


def test_probes_and_metrics_answer_while_the_queue_is_full(clients, gate):
    some = clients(decode_threads=1, batches_in_flight=1, max_queue=1, max_in_flight=2)
    waiting = some.begin()
    until(lambda: gate.rows)
    waiting += some.begin()
    until(lambda: some.metric("service_in_flight") == 2)
    for path in ("/healthz", "/readyz", "/model", "/metrics"):
        assert some.get(path).status_code == 200
    gate.open.set()
    assert [future.result().status_code for future in waiting] == [200, 200]


def ample_s(clients, gate) -> float:
    """Return a deadline that one picture keeps easily on this machine: many times what it takes."""
    some = clients(decode_threads=1, batches_in_flight=1)
    gate.open.set()
    started = time.perf_counter()
    assert [some.post().status_code for _ in range(3)] == [200] * 3
    taken_s = time.perf_counter() - started
    gate.open.clear()
    gate.rows.clear()
    return round(max(1.5, 10 * taken_s / 3), 1)


def test_passed_deadline_is_504_and_drops_the_remaining_work(clients, gate):
    deadline_s = ample_s(clients, gate)
    some = clients(decode_threads=1, batches_in_flight=1, deadline_s=deadline_s)
    running, queued = some.begin()[0], None
    until(lambda: gate.rows)
    queued = some.begin()[0]
    for future in (running, queued):
        assert (future.result().status_code, future.result().json()["code"]) == (504, "deadline_exceeded")
        assert f"{deadline_s:g} s" in future.result().json()["detail"]
    gate.open.set()
    until(lambda: some.metric("service_queue_length") == 0)
    assert some.post().status_code == 200
    assert gate.rows == [1, 1]  # what was running, and the last; never the one that waited in vain


def test_a_client_that_left_costs_no_inference(clients, gate, jpeg):
    some = clients(decode_threads=1, batches_in_flight=1)
    first = some.begin()
    until(lambda: gate.rows)
    host, port = some.url.removeprefix("http://").split(":")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(head.encode() + jpeg)
        until(lambda: some.metric("service_in_flight") == 2)
    until(lambda: some.metric("service_in_flight") == 1)  # its permit is back before its turn came
    gate.open.set()
    assert first[0].result().status_code == 200
    assert some.post().status_code == 200
    assert gate.rows == [1, 1]


def seven_of_whom_six_wait(clients, gate):
    """Begin one picture's run, hold it up, and let six more be decoded meanwhile."""
    states = []
    some = clients(decode_threads=4, batches_in_flight=1, max_batch=8, on_state=states.append)
    requests = some.begin()
    until(lambda: gate.rows)
    requests += some.begin(6)
    until(lambda: len(states[0].scorer._batcher._waiting) == 6)  # they are decoded
    return some, requests


def test_pictures_that_wait_share_a_run(clients, gate):
    some, requests = seven_of_whom_six_wait(clients, gate)
    gate.open.set()
    assert [future.result().status_code for future in requests] == [200] * 7
    assert gate.rows[0] == 1
    assert max(gate.rows) > 1
    assert some.metric("service_batch_size_sum") == sum(gate.rows) == 7
    assert some.metric("service_batch_size_count") == len(gate.rows) < 7


def test_failing_run_fails_its_own_jobs_only(clients, gate):
    gate.fails = True
    some, requests = seven_of_whom_six_wait(clients, gate)
    gate.open.set()
    for future in requests:
        assert (future.result().status_code, future.result().json()["code"]) == (500, "inference_failed")
    assert len(gate.rows) < 7
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
def test_invalid_model_output_is_an_error(make_client, make_model, jpeg, monkeypatch, answer):
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


def test_a_run_that_hangs_is_told_by_readiness(clients, gate):
    some = clients(decode_threads=2, batches_in_flight=1, deadline_s=ample_s(clients, gate))
    hanging = some.begin()[0]
    until(lambda: gate.rows)
    assert some.get("/readyz").status_code == 200
    assert hanging.result().status_code == 504
    until(lambda: some.get("/readyz").status_code == 503)
    assert "busy with one picture" in some.get("/readyz").json()["detail"]
    gate.open.set()
    until(lambda: some.get("/readyz").status_code == 200)
    assert some.post().status_code == 200


def test_a_probe_that_hangs_is_answered_meanwhile(clients, gate):
    some = clients()
    gate.fails = True
    gate.open.set()
    assert some.post().status_code == 500
    gate.open.clear()
    gate.fails = False
    for _ in range(3):
        answer = some.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "the last inference failed, and a new try has not ended yet",
        )
    assert len(gate.rows) == 2  # one picture, and one try for all three
    gate.open.set()
    until(lambda: some.get("/readyz").status_code == 200)


def test_picture_of_many_tensors_counts_once(make_server, gate, astronaut, encode):
    """Its parts wait side by side: the times of a stage do not add up to more than the whole."""
    crowd = Image.new("RGB", (1000, 420), (90, 120, 90))
    for number in range(10):
        crowd.paste(astronaut.crop((150, 0, 310, 160)), (number % 5 * 198 + 10, number // 5 * 200 + 10))
    some = Clients(make_server(faces="crop", max_batch=1, max_queue=1, deadline_s=3600), encode(crowd))
    running = some.begin()
    until(lambda: gate.rows)
    assert some.metric("service_queue_length") == 0
    time.sleep(0.3)
    gate.open.set()
    answer = running[0].result().json()
    assert len(answer["faces"]) == len(gate.rows) == 10
    spent = answer["timings_ms"]
    assert spent["queue"] >= 250
    for stage in ("queue", "inference", "decode", "faces"):
        assert spent[stage] <= spent["total"]


@pytest.fixture
def tiny_engine(make_model, make_spec) -> Engine:
    return Engine.from_bytes(make_model(make_spec(face_margin=1.3, face_finder=FINDER)), EngineOptions("cpu", 1))


def test_a_probe_that_breaks_otherwise_is_tried_again(clients, gate, monkeypatch):
    some = clients()
    gate.fails = True
    gate.open.set()
    assert some.post().status_code == 500
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "warm_up", lambda _: bytearray(1 << 62))
        assert some.get("/readyz").status_code == 503
    gate.fails = False
    assert some.get("/readyz").status_code == 200


def test_queue_can_fill_every_shared_batch():
    single = Settings().capacity(cuda=False)
    shared = Settings(max_batch=32).capacity(cuda=True)
    assert shared.max_queue == single.max_queue + 2 * 32
    assert Settings(batch_window_ms=5, batches_in_flight=3).capacity(cuda=False).max_queue == single.max_queue + 3 * 8
    assert Settings(max_queue=7).capacity(cuda=True).max_queue == 7


def test_call_runs_on_a_decode_thread_and_gives_its_slot_back(make_client):
    """What the function returns or raises reaches the caller, and nobody else."""
    scorer = make_client(faces="off", decode_threads=1).app.state.service.scorer

    async def scene() -> str:
        with pytest.raises(ZeroDivisionError):
            await scorer.call(lambda: 1 / 0)
        return await scorer.call(lambda: threading.current_thread().name)

    assert asyncio.run(scene()) == "decode-0"
    assert scorer.slots._taken == 0


def test_call_that_nobody_waits_for_is_not_run(make_client):
    """A client that left costs no thread."""
    scorer = make_client(faces="off", decode_threads=1).app.state.service.scorer
    leave, ran = threading.Event(), []

    async def scene() -> None:
        first = asyncio.create_task(scorer.call(lambda: leave.wait(PATIENCE)))
        second = asyncio.create_task(scorer.call(lambda: ran.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        leave.set()
        assert await first
        await scorer.call(lambda: ran.append("third"))

    asyncio.run(scene())
    assert ran == ["third"]
