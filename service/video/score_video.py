"""Score the frames of a video with the same threads that score pictures."""

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
from service.video.frames import SampledFrame, VideoFacts, sample_frames
from service.video.tracks import Track, follow, scene
from service.video.video_limits import check_video

PendingFrames = deque[tuple[SampledFrame, asyncio.Task[Scored]]]


@dataclass(slots=True)
class FrameResults:
    """Results so far; ``frames``, ``faces`` and ``scenes`` are parallel lists with an entry for each readable frame."""

    facts: VideoFacts | None = None
    frames: list[SampledFrame] = field(default_factory=list)
    faces: list[tuple[FaceJudgement, ...]] = field(default_factory=list)
    scenes: list[NDArray[np.float64]] = field(default_factory=list)
    unreadable: list[SampledFrame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """One scored video.

    Attributes:
        facts: properties of the file.
        frames: scored frames, in order.
        faces: faces of each frame, largest first.
        unreadable: sampled frames that cannot be decoded.
        tracks: the faces of each person over the frames.
        sha256: SHA-256 of the file, hexadecimal.
        engine: the model.
        total_ms: time from the last byte to the tracks, milliseconds.
        provenance: what the file declares about its origin; None if ``SERVICE_PROVENANCE`` is off.
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

    At most one frame per decode thread is in progress at once; further frames wait undecoded.

    Args:
        payload: bytes of the video.
        scorer: scorer for the frames.
        limits: limits on the video.
        provenance: reader of the file's declared origin; None: off.

    Raises:
        RequestError: the video is rejected, unreadable, or exceeds its deadline.
        ImageError: the frames are too small.
        InferenceError: the model failed.
    """
    started = time.perf_counter()
    deadline = asyncio.get_running_loop().time() + limits.deadline_s
    container = check_video(payload, limits)
    digest = await asyncio.to_thread(lambda: hashlib.sha256(payload).hexdigest())
    results = FrameResults()
    policy = _policy(scorer)
    pending: PendingFrames = deque()
    try:
        async with asyncio.timeout(limits.deadline_s), aclosing(sample_frames(payload, container, limits)) as items:
            async for item in items:
                if isinstance(item, VideoFacts):
                    results.facts = item
                elif item.pixels is None:
                    results.unreadable.append(item)
                else:
                    if len(pending) >= scorer.capacity.decode_threads:
                        await _collect(pending, results, policy)
                    task = asyncio.create_task(_score_frame(scorer, item.pixels, policy, deadline))
                    pending.append((item, task))
            while pending:
                await _collect(pending, results, policy)
    except TimeoutError:
        raise RequestError("deadline_exceeded", f"no verdict within the limit of {limits.deadline_s:g} s") from None
    finally:
        for _, task in pending:
            task.cancel()
    if results.facts is None or not results.frames:
        raise RequestError("corrupt_video", "none of the video's frames can be decoded")
    origin = await asyncio.to_thread(provenance.of_container, payload, container) if provenance else None
    tracks = follow([[judged.face for judged in faces] for faces in results.faces], results.scenes)
    return ScoredVideo(
        facts=results.facts,
        frames=results.frames,
        faces=results.faces,
        unreadable=results.unreadable,
        tracks=tracks,
        sha256=digest,
        engine=scorer.engine,
        total_ms=round((time.perf_counter() - started) * 1000, 3),
        provenance=origin,
    )


async def _score_frame(scorer: Scorer, pixels: NDArray[np.uint8], policy: FacePolicy, deadline: float) -> Scored:
    return await scorer.score(await scorer.submit_when_free(pixels, deadline, policy))


async def _collect(pending: PendingFrames, results: FrameResults, policy: FacePolicy) -> None:
    frame, task = pending.popleft()
    scored = await task
    assert frame.pixels is not None  # noqa: S101 - only decoded frames are scored
    results.scenes.append(scene(frame.pixels))
    results.frames.append(replace(frame, pixels=None))
    results.faces.append(_faces(scored, policy, frame.pixels.shape))


def _policy(scorer: Scorer) -> FacePolicy:
    """Return the face policy: judge each face on its own if the model defines a crop margin."""
    if scorer.policy.mode == "report" and scorer.engine.spec.face_margin is not None:
        return replace(scorer.policy, mode="crop")
    return scorer.policy


def _faces(scored: Scored, policy: FacePolicy, shape: tuple[int, ...]) -> tuple[FaceJudgement, ...]:
    """Return the faces of one frame; with face detection off, the whole frame is the only face."""
    judgement = scored.judgement
    if policy.mode == "off":
        whole = Face(0.0, 0.0, float(shape[1]), float(shape[0]), 1.0)
        return (FaceJudgement(whole, judgement.verdict, judgement.reasons),)
    if policy.mode == "report" and judgement.faces:  # the verdict applies to the largest face
        largest = replace(judgement.faces[0], verdict=judgement.verdict, reasons=judgement.reasons)
        return (largest, *judgement.faces[1:])
    return judgement.faces
