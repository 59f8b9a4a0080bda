"""Attacks on the wire, each by many connections, while a good client asks on: its p99, and the memory.

``python -m tests.bench.serving.attacks [ATTACK...]``; the rows of slowhttptest need that program (Debian: ``apt-get
install slowhttptest``). Every row is beside the calm that was measured just before it.
"""

import asyncio
import contextlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.serving.load import picture
from tests.conftest import REPOSITORY
from tests.serving import serving

SECONDS = 12.0
CALM_S = 4.0
_PAUSE_S = 0.02
_HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def slow_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    while True:
        writer.write(b"X-a: b\r\n")
        await writer.drain()
        await asyncio.sleep(1)


async def slow_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: 100000\r\n\r\n\xff\xd8\xff")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(1)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: 19000000\r\n\r\n\xff\xd8\xff" + bytes(15_000_000))
    await writer.drain()
    await reader.read(1)


async def endless_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\n\xff\xd8\xff\r\n")
    while not reader.at_eof():
        writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
        await writer.drain()


async def header_flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    while not reader.at_eof():
        writer.write(b"X-flood: " + b"a" * 4000 + b"\r\n")
        await writer.drain()


async def wrong_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: -1\r\n\r\nabc")
    await reader.read()


async def form_parts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n' * 10_000
    head = _HEAD.replace(b"image/jpeg", b"multipart/form-data; boundary=b") + b"Content-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body)
    await reader.read(200)


async def pipelined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not reader.at_eof():
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        await writer.drain()
        await reader.read(100_000)


async def leaving(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    photo = picture(300)
    writer.write(_HEAD + b"Content-Length: %d\r\n\r\n" % len(photo) + photo)
    await writer.drain()
    writer.transport.abort()


ATTACKS: dict[str, tuple[Attack, int]] = {
    "slow headers": (slow_headers, 1000),
    "slow bodies": (slow_body, 1000),
    "silent connections": (silent, 1000),
    "half a large body": (half_a_body, 30),
    "endless chunks": (endless_chunks, 20),
    "header floods": (header_flood, 50),
    "wrong Content-Length": (wrong_lengths, 20),
    "10,000 form parts": (form_parts, 20),
    "pipelined requests": (pipelined, 10),
    "clients that leave": (leaving, 8),
}
SLOWHTTPTEST = {
    "slowhttptest -H (slowloris)": ["-H"],
    "slowhttptest -B (slow bodies)": ["-B", "-s", "100000", "-t", "POST", "-f", "image/jpeg"],
    "slowhttptest -X (slow reading)": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3"],
}


async def attack(name: str, port: int) -> None:
    """Keep all connections of an attack busy until the process is ended."""
    what, connections = ATTACKS[name]

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await what(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(_PAUSE_S)

    await asyncio.gather(*(one() for _ in range(connections)))


def good_client(port: int, seconds: float) -> tuple[list[float], int]:
    """Ask again and again, each time on a connection of its own; return milliseconds, and how many got no verdict."""
    photo, times, without, end = picture(300), [], 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", "/predict", photo, {"Content-Type": "image/jpeg"})
            without += connection.getresponse().status != 200
            connection.close()
        except (OSError, http.client.HTTPException):
            without += 1
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(_PAUSE_S)
    return sorted(times), without


def memory_mib(process: int) -> float:
    """Return the resident memory of a process, MiB."""
    lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def row(name: str, command: list[str], port: int, process: int) -> str:
    """Measure one attack."""
    calm, _ = good_client(port, CALM_S)
    before = memory_mib(process)
    attacker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        times, without = good_client(port, SECONDS)
        during = memory_mib(process)
    finally:
        attacker.kill()
        attacker.wait()
    good_client(port, 2)
    time.sleep(12)  # until what the attacker left has been closed
    p99, calm_p99 = (latencies[int(0.99 * len(latencies))] for latencies in (times, calm))
    return (
        f"| {name} | {len(times)} | {without} | {times[len(times) // 2]:.0f} | {p99:.0f} ({p99 / calm_p99:.1f}) | "
        f"{times[-1]:.0f} | {before:.0f} → {during:.0f} → {memory_mib(process):.0f} |"
    )


def main() -> None:
    if sys.argv[1:2] == ["--attacker"]:
        asyncio.run(attack(sys.argv[2], int(sys.argv[3])))
        return
    chosen = sys.argv[1:] or [*ATTACKS, *(SLOWHTTPTEST if shutil.which("slowhttptest") else ())]
    print("| attack | asked | without a verdict | p50 ms | p99 ms (of calm) | worst ms | MiB before → during → after |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), REPOSITORY, "--log-level", "error") as (address, process),
    ):
        port = int(address.rpartition(":")[2])
        good_client(port, 2)
        for name in chosen:
            if name in ATTACKS:
                command = [sys.executable, "-m", "tests.bench.serving.attacks", "--attacker", name, str(port)]
            else:
                command = ["slowhttptest", *SLOWHTTPTEST[name], "-c", "1000", "-r", "200", "-l", "60", "-i", "2"]
                path = "/static-offline-docs/swagger-ui-bundle.js" if "-X" in name else "/predict"
                command += ["-u", f"{address}{path}", "-x", "20"]
            print(row(name, command, port, process.pid), flush=True)


if __name__ == "__main__":
    main()
