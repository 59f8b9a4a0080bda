"""Frames: the sampled frames of one video, from the process that reads it, as fast as they are taken."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import RequestError
from service.limits import VideoLimits
from service.sandbox.confinement import command, environment, nowhere
from service.sandbox.messages import LENGTH, write_message
from service.video.video_limits import Container

_READER: Final = "service.video.reader"
# An array of pixels is copied once on its way; what comes meanwhile waits in the pipe.
_PIPE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video is, by its frames' own times.

    Attributes:
        container: ``MP4``, ``MOV``, ``WEBM`` or ``MKV``.
        codec: as FFmpeg names it.
        duration_s: seconds.
        declared_duration_s: what the header says, seconds; None where it says nothing.
        frames: in the file.
        complete: whether the file holds every frame that it announces, and could be read to its end.
    """

    container: Container
    codec: str
    duration_s: float
    declared_duration_s: float | None
    frames: int
    complete: bool


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One frame that was looked at.

    Attributes:
        index: in the order in which frames are shown, from 0.
        time_s: since the first one, seconds.
        size: width and height as shown, pixels.
        pixels: uint8 ``[H, W, 3]`` RGB, upright; None where it cannot be decoded, and once it has been scored.
    """

    index: int
    time_s: float
    size: tuple[int, int]
    pixels: NDArray[np.uint8] | None


def available() -> bool:
    """Return whether the extra ``video`` is installed."""
    return find_spec("av") is not None


async def sampled(
    payload: bytes, container: Container, limits: VideoLimits
) -> AsyncGenerator[VideoFacts | SampledFrame, None]:
    """Yield what the video is, then its frames in order; to be closed, for there is a process behind it.

    Args:
        payload: of the video.
        container: by its first bytes.
        limits: what to refuse.

    Raises:
        RequestError: it is refused, cannot be read, or the extra is not installed.
    """
    if not available():
        detail = "videos are not read here: the extra 'video' is not installed (pip install face-authenticity[video])"
        raise RequestError("video_unavailable", detail)
    with nowhere() as silent:
        process = await asyncio.create_subprocess_exec(
            *command(_READER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=silent,
            limit=_PIPE,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for the service, which lets it finish
        )
    try:
        feeding = asyncio.create_task(_feed(process, payload, container, limits))
        del payload
        try:
            async for fields, binary in _messages(process):
                yield _understood(fields, binary, container)
        finally:
            feeding.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _feed(process: asyncio.subprocess.Process, payload: bytes, container: Container, limits: VideoLimits) -> None:
    pipe = process.stdin
    assert pipe is not None  # noqa: S101 - it was asked for
    head = io.BytesIO()
    write_message(head, asdict(limits) | {"container": container, "threads": 1, "bytes": len(payload)})
    with contextlib.suppress(ConnectionError):  # it has refused the video, or died; what it said tells
        pipe.write(head.getvalue())
        pipe.write(payload)
        del payload
        await pipe.drain()
        pipe.close()


async def _messages(process: asyncio.subprocess.Process) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
    """Yield messages up to the one that says that it is the last."""
    pipe = process.stdout
    assert pipe is not None  # noqa: S101 - it was asked for
    try:
        while True:
            (length,) = LENGTH.unpack(await pipe.readexactly(LENGTH.size))
            fields: dict[str, Any] = json.loads(await pipe.readexactly(length))
            if fields.get("end"):
                return
            yield fields, await pipe.readexactly(fields.get("bytes", 0))
    except asyncio.IncompleteReadError:
        raise RequestError("corrupt_video", "it cannot be read: the decoder broke off") from None


def _understood(fields: dict[str, Any], binary: bytes, container: Container) -> VideoFacts | SampledFrame:
    if code := fields.get("code"):
        raise RequestError(code, fields["detail"])
    if facts := fields.get("facts"):
        return VideoFacts(container, **facts)
    if "unreadable" in fields:
        return SampledFrame(fields["unreadable"], fields["time_s"], (0, 0), None)
    width, height = fields["width"], fields["height"]
    pixels = np.frombuffer(binary, np.uint8).reshape(height, width, 3)
    return SampledFrame(fields["frame"], fields["time_s"], (width, height), pixels)
