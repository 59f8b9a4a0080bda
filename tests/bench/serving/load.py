"""Load: pictures as ready-made requests, sent by wrk as fast as answers come, or by the clock."""

import asyncio
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.conftest import PUBLIC_DOMAIN

SCRIPT = Path(__file__).with_name("wrk.lua")
BOUNDARY = "bench"
# Enough to keep two processors busy.
CONNECTIONS = 8


def available() -> bool:
    """Return whether wrk is installed (Debian: ``apt-get install wrk``)."""
    return shutil.which("wrk") is not None


def picture(side: int, file_format: str = "JPEG") -> bytes:
    """Return a photo of a face (NASA, public domain), ``side`` pixels square."""
    buffer = io.BytesIO()
    photo = Image.open(PUBLIC_DOMAIN / "astronaut.png").convert("RGB")
    photo.resize((side, side), Image.Resampling.LANCZOS).save(buffer, file_format, quality=90)
    return buffer.getvalue()


def multipart(payload: bytes, name: str = "file") -> tuple[str, bytes]:
    """Return Content-Type and body of a form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="face.jpg"\r\n'
    body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + payload + f"\r\n--{BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={BOUNDARY}", body


def request(path: str, content_type: str, body: bytes, **headers: str) -> bytes:
    """Return a whole HTTP/1.1 request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass(frozen=True, slots=True)
class Closed:
    """What wrk measured: every connection sends its next request once it has its answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.refused) / self.seconds


def closed(port: int, files: list[Path], seconds: float, connections: int = CONNECTIONS) -> Closed:
    """Load a server by wrk with the requests in these files."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "-s", str(SCRIPT)]
    environment = os.environ | {"REQUESTS": " ".join(map(str, files))}
    ended = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], env=environment, capture_output=True, text=True, check=True
    )
    report = json.loads(ended.stdout.splitlines()[-1])
    return Closed(
        report["requests"],
        report["microseconds"] / 1e6,
        report["p50"] / 1000,
        report["p99"] / 1000,
        report["refused"],
        report["broken"],
    )


@dataclass(slots=True)
class Open:
    """What came of requests that were sent by the clock, whether or not earlier ones were answered."""

    seconds: float
    sent: int = 0
    refused: int = 0
    broken: int = 0
    unsent: int = 0
    in_time: int = 0
    good_ms: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Good answers a second, of those that came while requests were still being sent."""
        return self.in_time / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of the good answers' latency, from when each was due."""
        return statistics.quantiles(self.good_ms, n=100)[percent - 1] if len(self.good_ms) > 1 else float("nan")


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request under way."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[int] | None = None
        self.reusable = True
        self._received = bytearray()
        self._length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, content: bytes) -> "asyncio.Future[int]":
        self._received.clear()
        self._length = -1
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(content)  # type: ignore[attr-defined]
        return self.answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._length < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            self._length = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            self.reusable = b"connection: close" not in head
        if len(self._received) >= self._length and self.answer and not self.answer.done():
            self.answer.set_result(int(self._received[9:12]))

    def connection_lost(self, _: Exception | None) -> None:
        self.reusable = False
        if self.answer and not self.answer.done():
            self.answer.set_exception(ConnectionError())


async def _send_by_the_clock(port: int, content: bytes, rate: float, seconds: float, most: int) -> Open:
    loop, result = asyncio.get_running_loop(), Open(seconds)
    idle: list[_Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = None
        try:
            async with asyncio.timeout(20):
                while idle and not idle[-1].reusable:
                    idle.pop()
                connection = idle.pop() if idle else (await loop.create_connection(_Connection, "127.0.0.1", port))[1]
                status = await connection.send(content)
        except (OSError, TimeoutError):
            result.broken += 1
            return
        if status == 200:
            result.good_ms.append((loop.time() - due) * 1000)
            result.in_time += loop.time() < start + seconds
        else:
            result.refused += 1
        idle.append(connection)

    gaps, start = random.Random(0), loop.time()
    due = start
    while (due := due + gaps.expovariate(rate)) < start + seconds:
        await asyncio.sleep(max(0.0, due - loop.time()))
        result.sent += 1
        if len(tasks) >= most:
            result.unsent += 1
            continue
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    for connection in idle:
        connection.transport.close()
    return result


def by_the_clock(port: int, file: Path, rate: float, seconds: float, most: int = 400) -> Open:
    """Send one request over and over at ``rate`` a second, at random (Poisson), over at most ``most`` connections.

    Latency counts from when a request was due, so that a server that stalls is not spared what it kept
    from being sent (coordinated omission).
    """
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send_by_the_clock(port, file.read_bytes(), rate, seconds, most))


def wait_for(condition, seconds: float = 60.0) -> float:  # type: ignore[no-untyped-def]
    """Poll until a condition holds; return the seconds that it took.

    Raises:
        TimeoutError: it never did.
    """
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > seconds:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.01)
    return time.perf_counter() - start
