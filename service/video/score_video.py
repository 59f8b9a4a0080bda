"""Scoring: a video to the verdict on each face in it, by the threads that score pictures."""

import asyncio
import hashlib
import time
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import Face
from service.contract.faces.framing import FacePolicy
from service.contract.verdict.judgement import FaceJudgement
from service.errors import RequestError
from service.inference.engine import Engine
from service.inference.scorer import Scored, Scorer
from service.limits import VideoLimits
from service.provenance.content_credentials import Provenance
from service.video.frames import SampledFrame, VideoFacts, sampled
from service.video.tracks import Track, follow, scene
from service.video.video_limits import check_video

UnderWay = deque[tuple[SampledFrame, asyncio.Task[Scored]]]


@dataclass(slots=True)
class Watched:
    """What was seen of a video; the three lists go together, one entry for each frame that could be read."""

    facts: VideoFacts | None = None
    frames: list[SampledFrame] = field(default_factory=list)
    faces: list[tuple[FaceJudgement, ...]] = field(default_factory=list)
    scenes: list[NDArray[np.float64]] = field(default_factory=list)
    unreadable: list[SampledFrame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """One scored video.

    Attributes:
        facts: of the file.
        frames: the scored frames, in order.
        faces: of each frame, largest first.
        unreadable: sampled frames that cannot be decoded.
        tracks: which faces are one person.
        sha256: of the file, hexadecimal.
        engine: the model.
        total_ms: from the last byte to the tracks, milliseconds.
        provenance: what the file says of its origin; None where ``SERVICE_PROVENANCE`` is off.
    """

    facts: VideoFacts
    frames: list[SampledFrame]
    faces: list[tuple[FaceJudgement, ...]]
    unreadable: list[SampledFrame]
    tracks: list[Track]
    sha256: str
    engine: Engine
    total_ms: float
    provenance: dict[str, Any] | None


async def score_video(
    payload: bytes, scorer: Scorer, limits: VideoLimits, provenance: Provenance | None
) -> ScoredVideo:
    """Score the sampled frames of a video and track the faces in them.

    As many frames as there are decode threads are under way at once; those that come meanwhile wait undecoded.

    Args:
        payload: of the video.
        scorer: for its frames.
        limits: what to refuse.
        provenance: reads what the file says of its origin; None: off.

    Raises:
        RequestError: it is refused, cannot be read, or takes too long.
        ImageError: its frames are too small.
        InferenceError: the model failed.
    """
    started = time.perf_counter()
    container = check_video(payload, limits)
    digest = await asyncio.to_thread(lambda: hashlib.sha256(payload).hexdigest())
    watched = Watched()
    policy = _policy(scorer)
    under_way: UnderWay = deque()
    try:
        async with asyncio.timeout(limits.deadline_s), aclosing(sampled(payload, container, limits)) as items:
            async for item in items:
                if isinstance(item, VideoFacts):
                    watched.facts = item
                elif item.pixels is None:
                    watched.unreadable.append(item)
                else:
                    if len(under_way) >= scorer.decode_threads:
                        await _take(under_way, watched, policy)
                    left_s = limits.deadline_s - (time.perf_counter() - started)
                    task = asyncio.create_task(_scored(scorer, item.pixels, policy, left_s))
                    under_way.append((item, task))
            while under_way:
                await _take(under_way, watched, policy)
    except TimeoutError:
        raise RequestError("deadline_exceeded", f"no verdict within the limit of {limits.deadline_s:g} s") from None
    finally:
        for _, task in under_way:
            task.cancel()
    if watched.facts is None or not watched.frames:
        raise RequestError("corrupt_video", "none of its frames can be decoded")
    origin = await asyncio.to_thread(provenance.of_container, payload, container) if provenance else None
    tracks = follow([[judged.face for judged in faces] for faces in watched.faces], watched.scenes)
    return ScoredVideo(
        facts=watched.facts,
        frames=watched.frames,
        faces=watched.faces,
        unreadable=watched.unreadable,
        tracks=tracks,
        sha256=digest,
        engine=scorer.engine,
        total_ms=round((time.perf_counter() - started) * 1000, 3),
        provenance=origin,
    )


async def _scored(scorer: Scorer, pixels: NDArray[np.uint8], policy: FacePolicy, left_s: float) -> Scored:
    now = asyncio.get_running_loop().time()
    return await scorer.score(await scorer.submit_when_free(pixels, now, policy, left_s))


async def _take(under_way: UnderWay, watched: Watched, policy: FacePolicy) -> None:
    frame, task = under_way.popleft()
    scored = await task
    assert frame.pixels is not None  # noqa: S101 - only those are scored
    watched.scenes.append(scene(frame.pixels))
    watched.frames.append(replace(frame, pixels=None))
    watched.faces.append(_faces(scored, policy, frame.pixels.shape))


def _policy(scorer: Scorer) -> FacePolicy:
    """Return what is done about faces: each is judged by itself where the model says how to cut it out."""
    if scorer.policy.mode == "report" and scorer.engine.spec.face_margin is not None:
        return replace(scorer.policy, mode="crop")
    return scorer.policy


def _faces(scored: Scored, policy: FacePolicy, shape: tuple[int, ...]) -> tuple[FaceJudgement, ...]:
    """Return the faces of one frame; where they are not looked for, the frame itself as one."""
    judgement = scored.judgement
    if policy.mode == "off":
        whole = Face(0.0, 0.0, float(shape[1]), float(shape[0]), 1.0)
        return (FaceJudgement(whole, judgement.verdict, judgement.reasons),)
    if policy.mode == "report" and judgement.faces:  # the verdict is on the largest
        first = replace(judgement.faces[0], verdict=judgement.verdict, reasons=judgement.reasons)
        return (first, *judgement.faces[1:])
    return judgement.faces
