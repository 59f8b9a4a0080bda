"""Requests a second with SERVICE_FACES off, report and crop, from real servers in one interleaved run."""

import asyncio
import io
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

from PIL import Image
from rich.console import Console
from rich.table import Table

from tests.conftest import PUBLIC_DOMAIN, REPOSITORY

MODES = ("off", "report", "crop")
# It takes pictures whole, so that every mode serves it; the default is only served cut-out faces.
MODEL = "models/residual-cnn/0.1.2/model.onnx"
SIDES = (300, 1024)
CONNECTIONS = 16
ROUNDS = 7
SECONDS = 3.0


def portrait(side: int) -> bytes:
    """Return a JPEG of one face, framed as a portrait."""
    picture = Image.open(PUBLIC_DOMAIN / "astronaut.png").convert("RGB").crop((140, 30, 300, 190))
    buffer = io.BytesIO()
    picture.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def serve(mode: str, port: int) -> subprocess.Popen:
    """Start the service as a user does, quietly."""
    command = [sys.executable, "-m", "service", "--port", str(port), "--faces", mode]
    return subprocess.Popen([*command, "--model", MODEL, "--log-level", "error"], cwd=REPOSITORY)


async def rate(port: int, payload: bytes) -> float:
    """Return answers a second over a few kept-alive connections, each with one request under way."""
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(payload)}\r\n\r\n"
    request, end, answers = head.encode() + payload, time.perf_counter() + SECONDS, 0

    async def client() -> None:
        nonlocal answers
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(request)
            headers = await reader.readuntil(b"\r\n\r\n")
            assert headers.startswith(b"HTTP/1.1 200"), headers
            length = int(headers.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            answers += 1
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return answers / (time.perf_counter() - started)


async def ready(port: int) -> None:
    """Wait for a server to accept connections: it listens once its model is warm."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def main() -> None:
    """Print the table; every mode stands beside ``off`` in the same rounds."""
    with ExitStack() as servers:
        ports = {mode: 18400 + number for number, mode in enumerate(MODES)}
        for mode, port in ports.items():
            servers.callback(servers.enter_context(serve(mode, port)).terminate)
            asyncio.run(ready(port))
        table = Table("", "requests a second", "to off", "milliseconds more", title="cost of faces, 16 connections")
        for side in SIDES:
            payload = portrait(side)
            found: dict[str, list[float]] = {mode: [] for mode in MODES}
            for number in range(ROUNDS + 1):
                for mode, port in ports.items():
                    reached = asyncio.run(rate(port, payload))
                    if number:  # the first round warms up
                        found[mode].append(reached)
            for mode in MODES:
                ratio = statistics.median(a / b for a, b in zip(found[mode], found["off"], strict=True))
                more = statistics.median(1000 / a - 1000 / b for a, b in zip(found[mode], found["off"], strict=True))
                table.add_row(
                    f"{side} px, {mode}", f"{statistics.median(found[mode]):.0f}", f"{ratio:.2f}", f"{more:+.2f}"
                )
    Console().print(table)


if __name__ == "__main__":
    main()
