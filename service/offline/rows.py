"""Rows of the output, one per file; files are scored concurrently by the same scorer as HTTP requests."""

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
from service.video.video_limits import HEAD_BYTES, container_of

Row = dict[str, Any]


async def score_files(
    names: Iterable[str], engine: Engine, options: ScoreOptions, on_row: Callable[[Row], None]
) -> None:
    """Score files concurrently: two per thread, or on CUDA as many as fill all batches in flight.

    Args:
        names: paths of the files.
        engine: engine with the model.
        options: settings for scoring.
        on_row: called with each row as it is ready; a file that cannot be read gets an error row.
    """
    capacity = options.capacity(engine.on_cuda)
    provenance = Provenance(options.read_anchors()) if options.provenance else None
    scorer = Scorer(engine, options.limits, options.face_policy, capacity, lambda _: None, provenance)
    videos = options.video_limits(options.max_video_bytes)
    max_tasks = 2 * capacity.decode_threads if not engine.on_cuda else capacity.batches_in_flight * capacity.max_batch
    pending: set[asyncio.Task[Row]] = set()
    try:
        for name in names:
            if len(pending) >= max_tasks:
                pending = await _collect(pending, on_row, asyncio.FIRST_COMPLETED)
            pending.add(asyncio.create_task(_score_file(name, scorer, options.max_bytes, videos, provenance)))
        await _collect(pending, on_row, asyncio.ALL_COMPLETED)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        scorer.close()
        if provenance:
            provenance.close()


async def _collect(
    tasks: "set[asyncio.Task[Row]]", on_row: Callable[[Row], None], return_when: str
) -> "set[asyncio.Task[Row]]":
    if not tasks:
        return set()
    done, pending = await asyncio.wait(tasks, return_when=return_when)
    for task in done:
        on_row(task.result())
    return pending


async def _score_file(
    name: str, scorer: Scorer, max_bytes: int, videos: VideoLimits, provenance: Provenance | None
) -> Row:
    try:
        if await asyncio.to_thread(_is_video, Path(name)):
            payload = await asyncio.to_thread(read_bounded, Path(name), videos.max_bytes)
            return {"path": name, **video_answer(await score_video(payload, scorer, videos, provenance))}
        payload = await asyncio.to_thread(read_bounded, Path(name), max_bytes)
        check_payload(payload, max_bytes)
        deadline = asyncio.get_running_loop().time() + scorer.capacity.deadline_s
        scored = await scorer.score(await scorer.submit_when_free(payload, deadline))
    except OSError as error:
        return {"path": name, "error": {"code": "unreadable", "detail": error.strerror or type(error).__name__}}
    except Exception as error:  # a failure concerns this file only
        code, detail = refusal(error, path=name)
        return {"path": name, "error": {"code": code, "detail": detail}}
    return {"path": name, **prediction(scored, scorer)}


def _is_video(path: Path) -> bool:
    return container_of(read_head(path, HEAD_BYTES)) is not None
