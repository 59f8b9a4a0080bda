"""A service around the tiny model, and a client for it."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.engine import Engine
from service.settings import Settings


@pytest.fixture(scope="session")
def tiny_engine(make_model) -> Engine:
    return Engine.from_bytes(make_model(), "cpu", 1)


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
