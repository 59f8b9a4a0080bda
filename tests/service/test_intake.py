"""Intake on a real socket: slow bodies and clients that leave."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings


@pytest.fixture
def server(tiny_engine) -> Iterator[tuple[str, int]]:
    app = create_app(Settings(body_timeout_s=0.3, max_in_flight=2), tiny_engine)
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield running.servers[0].sockets[0].getsockname()
    running.should_exit = True
    thread.join()


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n"


def test_a_body_that_arrives_too_slowly_gets_408(server):
    with socket.create_connection(server) as connection:
        connection.sendall(HEAD + b"\xff\xd8\xff")
        answer = b""
        while not answer.endswith(b"}"):  # head and body may come in two packets
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer


def test_clients_that_leave_give_their_permits_back(server, astronaut, encode):
    picture = encode(astronaut)
    for _ in range(20):
        with socket.create_connection(server) as connection:
            connection.sendall(HEAD + b"\xff\xd8\xff")
    with socket.create_connection(server) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + picture)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
