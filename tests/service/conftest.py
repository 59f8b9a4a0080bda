"""A service around the tiny model, and a client for it; in this process, or on a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from service.app import create_app
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.server.http_protocol import http_protocol
from service.server.websocket_protocol import websocket_protocol
from service.settings import Settings


@pytest.fixture(scope="session")
def tiny_engine(make_model) -> Engine:
    return Engine.from_bytes(make_model(), EngineOptions("cpu", 1))


@pytest.fixture
def make_client(tiny_engine) -> Iterator[Callable[..., TestClient]]:
    """Return a client of a running service with any settings changed."""
    clients = []

    def client(**settings: object) -> TestClient:
        opened = TestClient(create_app(Settings(**settings), tiny_engine), raise_server_exceptions=False)
        clients.append(opened)
        return opened.__enter__()

    yield client
    for opened in clients:
        opened.__exit__(None, None, None)


@pytest.fixture
def client(make_client) -> TestClient:
    return make_client()


@pytest.fixture
def make_server(tiny_engine) -> Iterator[Callable[..., tuple[str, int]]]:
    """Return the address of a server with any settings changed, on a socket of this machine."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def server(**settings: object) -> tuple[str, int]:
        on_state = settings.pop("on_state", None)
        chosen = Settings(**settings)
        http = http_protocol(chosen.max_connections, chosen.header_timeout_s)
        app = create_app(chosen, tiny_engine)
        if on_state:
            on_state(app.state.service)
        ws = {"ws": websocket_protocol(chosen.header_timeout_s), "ws_max_size": chosen.max_bytes}
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, http=http, **ws)
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run)
        thread.start()
        running.append((serving, thread))
        while not serving.started:
            time.sleep(0.01)
        return serving.servers[0].sockets[0].getsockname()

    yield server
    for serving, thread in running:
        serving.should_exit = True
        thread.join()


@pytest.fixture
def models(make_model, make_spec, tmp_path) -> tuple[Path, bytes, bytes]:
    """Where a model lies, the one that lies there, and another."""
    first, second = (make_model(make_spec(name="swapped", version=version)) for version in ("1", "2"))
    path = tmp_path / "model.onnx"
    path.write_bytes(first)
    return path, first, second


@pytest.fixture
def frame(astronaut, encode) -> bytes:
    return encode(astronaut.crop((120, 0, 320, 200)))


@pytest.fixture
def jpeg(astronaut, encode) -> bytes:
    return encode(astronaut, "JPEG", quality=90)
