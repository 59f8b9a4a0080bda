"""Uploads on a real socket: slow bodies, and clients that leave."""

import socket

from tests.serving import PATIENCE, until

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n"


def test_a_body_that_arrives_too_slowly_gets_408(make_server):
    with socket.create_connection(make_server(body_timeout_s=0.3), timeout=PATIENCE) as connection:
        connection.sendall(HEAD + b"\xff\xd8\xff")
        answer = b""
        while chunk := connection.recv(65536):  # until it is closed
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer
    assert b"connection: close" in answer.lower()


def test_clients_that_leave_give_their_permits_back(make_server, astronaut, encode):
    server, picture = make_server(body_timeout_s=3600, max_in_flight=2), encode(astronaut)
    for _ in range(20):
        with socket.create_connection(server) as connection:
            connection.sendall(HEAD + b"\xff\xd8\xff")
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    answers: list[bytes] = []

    def is_let_in() -> bool:
        with socket.create_connection(server, timeout=PATIENCE) as connection:
            connection.sendall(head.encode() + picture)
            answers.append(connection.recv(65536))
        return not answers[-1].startswith(b"HTTP/1.1 429")

    until(is_let_in)  # once the server has seen that the last two have gone
    assert answers[-1].startswith(b"HTTP/1.1 200")
