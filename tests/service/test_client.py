"""The Python client, against real servers: answers, refusals, retries; sync and async."""

import asyncio
import email.utils
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from service.api.schemas import ModelFacts, Prediction
from service.client import AsyncClient, Client, ServiceError, Unavailable, _Backoff
from service.lifecycle.keys import new_key
from tests.serving import free_port


class Blocking:
    """The async client, each call run to its end, so that one test serves both."""

    def __init__(self, *arguments: object, **options: object) -> None:
        self._runner = asyncio.Runner()
        self._arguments, self._options = arguments, options

    def __enter__(self) -> "Blocking":
        async def opened() -> AsyncClient:
            return await AsyncClient(*self._arguments, **self._options).__aenter__()

        try:
            self._client = self._runner.run(opened())
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str):
        return lambda *arguments: self._runner.run(getattr(self._client, name)(*arguments))


@pytest.fixture(params=[Client, Blocking], ids=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture
def face(astronaut, tmp_path) -> Path:
    path = tmp_path / "face.jpg"
    astronaut.save(path)
    return path


@pytest.fixture
def url(make_server) -> str:
    host, port = make_server(faces="off", max_files=4)[:2]
    return f"http://{host}:{port}"


@pytest.fixture
def scripted() -> Iterator[tuple[str, list, list]]:
    """The address of a server that answers as it is told, what it is told, and when it was asked."""
    answers: list[tuple[int, dict[str, str], bytes]] = []
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            status, headers, body = answers.pop(0)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_path_a_name_and_bytes_get_the_same_typed_answer(kind, url, face):
    with kind(url) as client:
        answers = [client.predict(picture) for picture in (face, str(face), face.read_bytes())]
        assert all(isinstance(answer, Prediction) for answer in answers)
        assert len({(answer.verdict, answer.confidence, answer.image.sha256) for answer in answers}) == 1
        assert isinstance(client.model(), ModelFacts)
        assert client.ready()


def test_each_picture_of_a_batch_has_a_prediction_or_a_problem(kind, url, face):
    with kind(url) as client:
        good, bad = client.predict_batch([face, b"junk"])
        assert (good.status, good.filename, good.problem) == (200, "face.jpg", None)
        assert good.prediction == client.predict(face).model_copy(update={"timings_ms": good.prediction.timings_ms})
        assert (bad.status, bad.prediction, bad.problem.code) == (415, None, "unsupported_format")
        with pytest.raises(ServiceError, match="too_many_files: more than 4 parts"):
            client.predict_batch([face] * 5)
        with pytest.raises(ServiceError) as refused:
            client.predict_batch([])
        assert refused.value.status in (400, 415)


def test_refusal_is_raised_with_code_and_id_without_retry(kind, url):
    with kind(url) as client:
        with pytest.raises(ServiceError, match="unsupported_format: ") as refused:
            client.predict(b"junk")
        assert not isinstance(refused.value, Unavailable)
        assert (refused.value.status, refused.value.code) == (415, "unsupported_format")
        assert len(refused.value.request_id) == 32


def test_a_key_opens(kind, make_server, tmp_path, face):
    key, line = new_key("alice")
    (tmp_path / "keys").write_text(line)
    host, port = make_server(faces="off", api_keys=tmp_path / "keys")[:2]
    with kind(f"http://{host}:{port}", key) as client:
        assert client.predict(face).verdict
    with kind(f"http://{host}:{port}", "wrong") as client, pytest.raises(ServiceError, match="unauthorized"):
        client.predict(face)


def in_a_date(seconds: float) -> str:
    return email.utils.format_datetime(email.utils.localtime() + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("retry_after", "least"),
    [("1", 1.0), ("0", 0.0), (None, 0.125), ("soon", 0.125), ("Wed, 21 Oct 999999999999 00:00:00 GMT", 0.125)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_the_service_says(kind, scripted, url, status, retry_after, least):
    address, answers, asked = scripted
    body = httpx.get(f"{url}/model").content
    answers += [(status, {"Retry-After": retry_after} if retry_after else {}, b"later"), (200, {}, body)]
    with kind(address) as client:
        assert client.model().name == "tiny"
    assert least <= asked[1] - asked[0]


def test_a_date_is_waited_for_too(kind, scripted, url):
    address, answers, _ = scripted
    date = email.utils.localtime() + timedelta(seconds=2)
    answers += [(503, {"Retry-After": in_a_date(2)}, b""), (200, {}, httpx.get(f"{url}/model").content)]
    with kind(address) as client:
        client.model()
    assert email.utils.localtime() > date - timedelta(seconds=1)  # dates are in whole seconds


def test_a_wait_that_is_too_long_is_not_begun(kind, scripted):
    address, answers, asked = scripted
    answers += [(429, {"Retry-After": "3600"}, b"")]
    with kind(address) as client, pytest.raises(Unavailable) as given_up:
        client.model()
    assert given_up.value.retry_after_s == 3600
    assert len(asked) == 1


def test_it_gives_up_after_as_many_tries_as_asked_for(kind, scripted):
    address, answers, asked = scripted
    answers += [(503, {"Retry-After": "0"}, b"a proxy says no")] * 3
    with kind(address, retries=2) as client, pytest.raises(Unavailable, match="503: a proxy says no"):
        client.model()
    assert len(asked) == 3


def test_a_server_that_is_not_there_is_tried_and_told(kind):
    with kind(f"http://127.0.0.1:{free_port()}", retries=1) as client:
        assert not client.ready()
        with pytest.raises(Unavailable, match="no answer: "):
            client.model()


def test_what_is_another_service_is_told(kind, scripted):
    address, answers, _ = scripted
    answers += [(200, {}, b"<html>welcome</html>"), (404, {}, b"<html>none</html>")]
    with kind(address) as client:
        with pytest.raises(ServiceError, match="the response is not from this service: '<html>welcome"):
            client.model()
        with pytest.raises(ServiceError, match="404: <html>none"):
            client.model()


def test_a_file_that_is_not_there_is_an_error_of_the_file(kind, url, tmp_path):
    with kind(url) as client, pytest.raises(FileNotFoundError):
        client.predict(tmp_path / "absent.jpg")


def test_an_overloaded_service_is_asked_again_until_it_answers(make_server, face):
    """Eight clients, of which the service takes one at a time."""
    host, port = make_server(faces="off", max_in_flight=1, decode_threads=1)[:2]
    verdicts = []

    def ask() -> None:
        with Client(f"http://{host}:{port}", retries=30) as client:
            verdicts.extend(client.predict(face).verdict for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(verdicts) == 24


def test_importing_it_brings_no_machinery():
    program = "import sys, service.client; assert not {'numpy', 'onnxruntime', 'PIL', 'uvicorn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_httpx_it_says_what_to_install():
    program = "import sys; sys.modules['httpx'] = None; import service.client"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "service.client needs httpx: pip install 'face-authenticity[client]'" in ended.stderr.splitlines()[-1]


def test_negative_retries_are_refused(kind):
    with pytest.raises(ValueError, match="retries is -1, must be 0 or more"):
        kind("http://x", retries=-1).__enter__()


@pytest.mark.parametrize("key", ["fa_secret\n", "fa secret", "fa_s\u00e9cret", ""])
def test_key_unfit_for_a_header_is_refused_without_showing_it(kind, key):
    with pytest.raises(ValueError, match="strip a key read from a file") as refused:
        kind("http://x", key).__enter__()
    assert "secret" not in str(refused.value)


def test_a_url_without_a_scheme_is_refused(kind):
    with pytest.raises(ValueError, match="'localhost:8000' does not begin with http"):
        kind("localhost:8000").__enter__()


def test_a_name_that_is_not_utf8_is_sent_all_the_same(kind, url, face):
    odd = face.rename(Path(os.fsdecode(os.fsencode(face.parent) + b"/\xff.jpg")))
    with kind(url) as client:
        assert client.predict(odd).verdict


def test_backoff_doubles_only_without_retry_after(monkeypatch):
    """A wait that the service asked for is none of the client's own waits."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    backoff = _Backoff()

    def wait_s(retry_after_s: float | None) -> float:
        failure = Unavailable(503, "", "", "")
        failure.retry_after_s = retry_after_s
        outcome: Future[None] = Future()
        outcome.set_exception(failure)
        return backoff(SimpleNamespace(outcome=outcome))

    assert [wait_s(after) for after in (0.0, 3.0, None, 0.0, None, None)] == [0.0, 3.0, 0.25, 0.0, 0.5, 1.0]
    assert [wait_s(None) for _ in range(5)] == [2.0, 4.0, 8.0, 8.0, 8.0]
