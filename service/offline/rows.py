"""Rows: what is written of one file; and many of them, scored side by side by what serves over HTTP."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from service.api.responses import prediction, refusal
from service.api.upload import check_payload
from service.api.video_responses import video_answer
from service.contract.bounded_read import read_bounded, read_head
from service.inference.engine import Engine
from service.inference.scorer import Scorer
from service.limits import VideoLimits
from service.offline.score_options import ScoreOptions
from service.provenance.content_credentials import Provenance
from service.video.score_video import score_video
from service.video.video_limits import HEAD, container_of

Row = dict[str, Any]


async def score_files(names: Iterable[str], engine: Engine, options: ScoreOptions, take: Callable[[Row], None]) -> None:
    """Score files, twice as many at once as there are threads.

    Args:
        names: of the files.
        engine: with the model.
        options: what is done with a picture.
        take: called with each row as it comes; one that cannot be read is such a row too.
    """
    capacity = options.capacity(engine.on_cuda)
    provenance = Provenance(options.read_anchors()) if options.provenance else None
    scorer = Scorer(engine, options.limits, options.face_policy, capacity, lambda _: None, provenance)
    videos = options.video_limits(options.max_video_bytes)
    at_once = 2 * capacity.decode_threads if not engine.on_cuda else capacity.batches_in_flight * capacity.max_batch
    under_way: set[asyncio.Task[Row]] = set()
    try:
        for name in names:
            if len(under_way) >= at_once:
                under_way = await _taken(under_way, take, asyncio.FIRST_COMPLETED)
            under_way.add(asyncio.create_task(_row(name, scorer, options.max_bytes, videos, provenance)))
        await _taken(under_way, take, asyncio.ALL_COMPLETED)
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        scorer.close()
        if provenance:
            provenance.close()


async def _taken(
    under_way: "set[asyncio.Task[Row]]", take: Callable[[Row], None], until: str
) -> "set[asyncio.Task[Row]]":
    if not under_way:
        return set()
    done, left = await asyncio.wait(under_way, return_when=until)
    for task in done:
        take(task.result())
    return left


async def _row(name: str, scorer: Scorer, max_bytes: int, videos: VideoLimits, provenance: Provenance | None) -> Row:
    try:
        if await asyncio.to_thread(_is_video, Path(name)):
            payload = await asyncio.to_thread(read_bounded, Path(name), videos.max_bytes)
            return {"path": name, **video_answer(await score_video(payload, scorer, videos, provenance))}
        payload = await asyncio.to_thread(read_bounded, Path(name), max_bytes)
        check_payload(payload, max_bytes)
        now = asyncio.get_running_loop().time()
        scored = await scorer.score(await scorer.submit_when_free(payload, now))
    except OSError as error:
        return {"path": name, "error": {"code": "unreadable", "detail": error.strerror or type(error).__name__}}
    except Exception as error:  # each file fails by itself
        code, detail = refusal(error, path=name)
        return {"path": name, "error": {"code": code, "detail": detail}}
    return {"path": name, **prediction(scored, scorer)}


def _is_video(path: Path) -> bool:
    return container_of(read_head(path, HEAD)) is not None
