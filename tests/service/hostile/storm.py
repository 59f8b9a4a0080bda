"""A storm of clients, good, bad and leaving: ``python -m tests.service.hostile.storm [CLIENTS] [WORKERS]``.

Every good client sends bytes that nobody else sends, and holds the SHA-256 in its answer against them.
"""

import asyncio
import hashlib
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.bench.serving.load import multipart
from tests.conftest import PUBLIC_DOMAIN, REPOSITORY
from tests.service.hostile.families import with_segment
from tests.serving import request, serving

AT_ONCE = 40
# What a client may be told while everybody comes at once, or the service is going.
_ALLOWED = frozenset({200, 400, 408, 413, 415, 422, 429, 503})
_STAGES = ("connected", "headers", "body", "sent")


@dataclass(slots=True)
class Outcome:
    """What became of a storm: answers by kind of client and status, seconds of good ones, and what went wrong."""

    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Return the time that this share of the good answers stayed under, milliseconds."""
        return 1000 * sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def pictures() -> list[bytes]:
    """Return photos of a face (NASA, public domain) in a few sizes."""
    pictures = []
    with Image.open(PUBLIC_DOMAIN / "astronaut.png") as photo:
        for side in (96, 160, 300, 600):
            buffer = io.BytesIO()
            photo.convert("RGB").resize((side, side)).save(buffer, "JPEG", quality=90)
            pictures.append(buffer.getvalue())
    return pictures


async def storm(port: int, clients: int, seed: int = 0, gone_is_fine: bool = False) -> Outcome:
    """Send so many clients, some at a time.

    Args:
        port: of the service on this machine.
        clients: how many.
        seed: of what they are like.
        gone_is_fine: the service may close connections, because it is being stopped or killed.
    """
    outcome, room, photos = Outcome(), asyncio.Semaphore(AT_ONCE), pictures()

    async def client(number: int) -> None:
        async with room:
            draw = random.Random(f"{seed}/{number}")
            photo = with_segment(draw.choice(photos), 0xFE, f"client {seed} {number}".encode())
            try:
                await asyncio.wait_for(_client(port, draw, photo, outcome), 30)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                outcome.answers["gone"] += 1
                if not gone_is_fine:
                    outcome.wrong.append(f"client {number}: {error!r}")
            except TimeoutError:
                outcome.wrong.append(f"client {number} waited for 30 s")

    await asyncio.gather(*(client(number) for number in range(clients)))
    return outcome


async def _client(port: int, draw: random.Random, photo: bytes, outcome: Outcome) -> None:
    kind = draw.choices(["good", "bad", "leaves"], [5, 3, 2])[0]
    payload = photo if kind != "bad" else _spoilt(draw, photo)
    content_type, body = ("image/jpeg", payload) if draw.random() < 0.5 else multipart(payload)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    while not await _try(port, draw, kind, (head.encode(), body, payload), outcome):
        outcome.answers["told to wait"] += 1
        await asyncio.sleep(draw.uniform(0.05, 0.3))


async def _try(port: int, draw: random.Random, kind: str, sent: tuple[bytes, bytes, bytes], outcome: Outcome) -> bool:
    """Send one request; return whether it was answered for good."""
    head, body, payload = sent
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if kind == "leaves":
            await _leave(writer, draw.choice(_STAGES), head, body)
            outcome.answers["left"] += 1
            return True
        start = time.perf_counter()
        writer.write(head + body)
        status, answer = await _answer(reader)
        if status == 429:
            return False
        outcome.answers[f"{kind} {status}"] += 1
        if kind == "good" and status == 200:
            outcome.seconds.append(time.perf_counter() - start)
        _check(kind, status, answer, payload, outcome)
        return True
    finally:
        writer.close()


def _spoilt(draw: random.Random, photo: bytes) -> bytes:
    how = draw.randrange(4)
    if how == 0:
        return photo[: draw.randrange(12, len(photo) - 2)]
    if how == 1:
        return photo[: draw.randrange(700, len(photo) - 200)] + b"\xff\xd9"
    if how == 2:
        return draw.randbytes(200)
    return b"\xff\xd8\xff" + draw.randbytes(3000)


async def _leave(writer: asyncio.StreamWriter, stage: str, head: bytes, body: bytes) -> None:
    sent = {"connected": b"", "headers": head[:50], "body": head + body[: len(body) // 2], "sent": head + body}[stage]
    writer.write(sent)
    await writer.drain()
    writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    return int(head.split()[1]), await reader.readexactly(length)


def _check(kind: str, status: int, answer: bytes, payload: bytes, outcome: Outcome) -> None:
    body = json.loads(answer)
    if status not in _ALLOWED:
        outcome.wrong.append(f"{kind}: {status} {body}")
    elif status == 200 and body["image"]["sha256"] != hashlib.sha256(payload).hexdigest():
        outcome.wrong.append(f"{kind}: an answer about other bytes")
    elif kind == "bad" and status == 200:
        outcome.wrong.append("a spoilt picture was scored")
    elif kind == "good" and status in (400, 415, 422):
        outcome.wrong.append(f"a good picture was refused: {body}")


def main() -> None:
    arguments = sys.argv[1:]
    clients, workers = (int(argument) for argument in (*arguments, *("10000", "1")[len(arguments) :]))
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), REPOSITORY, "--log-level", "warning", "--workers", str(workers)) as (address, _),
    ):
        start = time.perf_counter()
        outcome = asyncio.run(storm(int(address.rpartition(":")[2]), clients))
        print(f"{clients} clients in {time.perf_counter() - start:.0f} s: {dict(sorted(outcome.answers.items()))}")
        print(f"good answers: p50 {outcome.percentile(0.5):.0f} ms, p99 {outcome.percentile(0.99):.0f} ms")
        print(f"ready afterwards: {request(f'{address}/readyz')[0] == 200}")
        print("\n".join(outcome.wrong) or "nothing wrong, every SHA-256 its own client's")
        sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
