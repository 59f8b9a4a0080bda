"""Privacy: pictures stay in memory; the service writes no file, makes no outbound connections and logs no pictures."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import av
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from tests.bench.serving.load import multipart
from tests.conftest import REPOSITORY
from tests.service.hostile import jail
from tests.service.hostile.families import with_segment
from tests.serving import PATIENCE, free_port, once_ready, request

MARK = b"marked-picture-7f3a"


@contextmanager
def jailed(folder) -> Iterator[tuple[str, subprocess.Popen]]:
    if not jail.available():
        pytest.skip("needs a Linux (x86-64 or aarch64) where a process may refuse itself system calls")
    port = free_port()
    command = ["-m", "tests.service.hostile.jail", sys.executable, "-m", "service"]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port), "--log-level", "debug"],
        cwd=REPOSITORY,
        env={"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder), "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with once_ready(process, port) as address:
        yield address, process


def test_the_jail_keeps_a_process_from_writing_and_from_calling(tmp_path):
    """Else the next test would prove nothing."""
    if not jail.available():
        pytest.skip("needs a Linux (x86-64 or aarch64) where a process may refuse itself system calls")
    code = (
        "import socket, os, sys\n"
        "tries = [lambda: open(sys.argv[1], 'wb'), lambda: os.mkdir(sys.argv[1]), lambda: os.memfd_create('m'),\n"
        "    lambda: socket.create_connection(('127.0.0.1', 9)),\n"
        "    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))]\n"
        "for attempt in tries:\n"
        "    try:\n"
        "        attempt()\n"
        "    except PermissionError:\n"
        "        print('refused')\n"
        "print(open('/proc/self/comm').read())\n"
    )
    command = [sys.executable, "-m", "tests.service.hostile.jail", sys.executable, "-c", code, str(tmp_path / "x")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:5] == ["refused"] * 5


def test_no_endpoint_writes_files_or_opens_connections(astronaut, encode, tmp_path):
    """What reads videos and Content Credentials is started by the service, and so in the same jail."""
    portrait = astronaut.crop((120, 0, 320, 200))
    clip = io.BytesIO()
    with av.open(clip, "w", format="mp4") as file:
        file.metadata["comment"] = MARK.decode()
        stream = file.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 200
        for _ in range(12):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(portrait), format="rgb24")))
        file.mux(stream.encode())
    picture = with_segment(encode(portrait), 0xFE, MARK + b" jumb c2pa")  # looks as if it had credentials
    with jailed(tmp_path) as (address, process):
        answer = httpx.post(f"{address}/predict/video", files={"file": clip.getvalue()}, timeout=PATIENCE).json()
        assert answer["video"]["sampled"] == 12
        status, body = request(f"{address}/explain", picture)
        assert (status, json.loads(body)["evidence"]["method"]) == (200, "map")
        assert json.loads(body)["provenance"]["content_credentials"]["checked"] is True
        assert request(f"{address}/explain?format=png", picture)[1][:4] == b"\x89PNG"
        with connect(f"{address.replace('http', 'ws')}/stream") as camera:
            camera.send(picture)
            assert "prediction" in json.loads(camera.recv(timeout=PATIENCE))
        assert request(f"{address}/")[0] == request(f"{address}/page/app.js")[0] == 200
        process.terminate()
        out, log = process.communicate(timeout=PATIENCE)
    assert MARK not in out + log
    assert b"could not be read" not in log
    assert list(tmp_path.iterdir()) == []


def test_the_service_answers_where_it_can_neither_write_nor_call(astronaut, encode, tmp_path):
    """And leaves nothing of a picture, its name or its comments in its log, at the level that says most."""
    payload = with_segment(encode(astronaut), 0xFE, MARK)
    large = with_segment(encode(astronaut.resize((3000, 3000)), quality=98), 0xFE, MARK)
    with jailed(tmp_path) as (address, process):
        for picture in (payload, large):
            status, body = request(f"{address}/predict", picture)
            assert status == 200
            assert json.loads(body)["image"]["sha256"] == hashlib.sha256(picture).hexdigest()
        kind, form = multipart(payload)
        form = form.replace(b'filename="face.jpg"', b'filename="' + MARK + b'.jpg"')
        asked = urllib.request.Request(f"{address}/predict", form, {"Content-Type": kind})
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            assert answer.status == 200
        for path in ("/metrics", "/model", "/openapi.json", "/docs"):
            assert request(f"{address}{path}")[0] == 200
        assert request(f"{address}/predict", payload[:-400])[0] == 422
        process.terminate()
        out, log = process.communicate(timeout=PATIENCE)
    assert b'"path": "/predict"' in log
    text = out + log
    middle = payload[4000:4030]
    for secret in (MARK, middle, middle.hex().encode(), base64.b64encode(middle)[4:-4], base64.b64encode(MARK)[2:-4]):
        assert secret not in text
    assert hashlib.sha256(payload).hexdigest().encode() not in text
    assert list(tmp_path.iterdir()) == []
