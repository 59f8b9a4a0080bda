"""Intake on a real socket: slow bodies and clients that leave; and a form that comes in any pieces."""

import socket
import time

import pytest

from tests.serving import PATIENCE


@pytest.fixture
def server(make_server) -> tuple[str, int]:
    return make_server(body_timeout_s=0.3, max_in_flight=2)


HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n"


def test_a_body_that_arrives_too_slowly_gets_408(server):
    with socket.create_connection(server, timeout=PATIENCE) as connection:
        connection.sendall(HEAD + b"\xff\xd8\xff")
        answer = b""
        while chunk := connection.recv(65536):  # until it is closed
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer
    assert b"connection: close" in answer.lower()


def test_clients_that_leave_give_their_permits_back(server, astronaut, encode):
    picture = encode(astronaut)
    for _ in range(20):
        with socket.create_connection(server) as connection:
            connection.sendall(HEAD + b"\xff\xd8\xff")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    for _ in range(100):  # until the server has seen that the last two have gone
        with socket.create_connection(server, timeout=PATIENCE) as connection:
            connection.sendall(head.encode() + picture)
            answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 429"):
            break
        time.sleep(0.05)
    assert answer.startswith(b"HTTP/1.1 200")
