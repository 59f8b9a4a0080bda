"""Rows: what is written of one file; and many of them, scored side by side by what serves over HTTP."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from service.answers import prediction
from service.engine import Engine
from service.errors import RequestError
from service.intake import check_payload
from service.metrics import Metrics
from service.offline.options import ScoreOptions
from service.refused import refusal
from service.scoring import Scorer

Row = dict[str, Any]


async def score_files(
    names: Iterable[str], engine: Engine, options: ScoreOptions, take: Callable[[Row], Awaitable[None] | None]
) -> None:
    """Score files, twice as many at once as there are threads.

    Args:
        names: of the files.
        engine: with the model.
        options: what is done with a picture.
        take: called with each row as it comes; one that cannot be read is such a row too.
    """
    capacity = options.capacity(engine.on_cuda)
    scorer = Scorer(engine, options.limits, options.face_policy, capacity, Metrics())
    at_once = 2 * capacity.decode_threads if not engine.on_cuda else capacity.batches_in_flight * capacity.max_batch
    under_way: set[asyncio.Task[Row]] = set()
    try:
        for name in names:
            if len(under_way) >= at_once:
                under_way = await _taken(under_way, take, asyncio.FIRST_COMPLETED)
            under_way.add(asyncio.create_task(_row(name, scorer, options.max_bytes)))
        await _taken(under_way, take, asyncio.ALL_COMPLETED)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        scorer.close()


async def _taken(
    under_way: "set[asyncio.Task[Row]]", take: Callable[[Row], Awaitable[None] | None], until: str
) -> "set[asyncio.Task[Row]]":
    if not under_way:
        return set()
    done, left = await asyncio.wait(under_way, return_when=until)
    for task in done:
        if (waited := take(task.result())) is not None:
            await waited
    return left


async def _row(name: str, scorer: Scorer, max_bytes: int) -> Row:
    try:
        payload = await asyncio.to_thread(_read, name, max_bytes)
        now = asyncio.get_running_loop().time()
        scored = await scorer.score(await scorer.submit_when_room(payload, now))
    except OSError as error:
        return {"path": name, "error": {"code": "unreadable", "detail": error.strerror or type(error).__name__}}
    except Exception as error:  # each file fails by itself
        code, detail = refusal(error, request_id=name)
        return {"path": name, "error": {"code": code, "detail": detail}}
    return {"path": name, **prediction(scored.judgement, scored.image, scorer.engine, scorer.policy)}


def _read(name: str, max_bytes: int) -> bytes:
    """Return a file's bytes, at most as many as a picture may have."""
    # A pipe would be waited for, and a device has no end.
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - from a descriptor
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise RequestError("unreadable", "is not a regular file")
        payload = file.read(max_bytes + 1)
    if len(payload) > max_bytes:
        raise RequestError("payload_too_large", f"{max(state.st_size, len(payload))} bytes are over {max_bytes}")
    check_payload(payload, max_bytes)
    return payload
