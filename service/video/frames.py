"""Stream the sampled frames of a video from the reader process."""

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
from service.sandbox.confinement import command, environment, null_descriptor
from service.sandbox.messages import LENGTH, write_message
from service.video.video_limits import Container

_READER: Final = "service.video.reader"
# Large enough that an array of pixels is copied only once.
_PIPE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """Properties of a video, measured from its frame timestamps.

    Attributes:
        container: ``MP4``, ``MOV``, ``WEBM`` or ``MKV``.
        codec: FFmpeg's name of the codec.
        duration_s: duration by the frame timestamps, seconds.
        declared_duration_s: duration in the header, seconds; None if the header has none.
        frames: number of frames in the file.
        complete: whether the file was read to its end and contains every frame that its header announces.
    """

    container: Container
    codec: str
    duration_s: float
    declared_duration_s: float | None
    frames: int
    complete: bool


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """One sampled frame.

    Attributes:
        index: index in presentation order, from 0.
        time_s: time since the first frame, seconds.
        size: displayed width and height, pixels.
        pixels: uint8 ``[H, W, 3]`` RGB, upright; None if the frame cannot be decoded or has been scored.
    """

    index: int
    time_s: float
    size: tuple[int, int]
    pixels: NDArray[np.uint8] | None


def available() -> bool:
    """Return whether the extra ``video`` is installed."""
    return find_spec("av") is not None


async def sample_frames(
    payload: bytes, container: Container, limits: VideoLimits
) -> AsyncGenerator[VideoFacts | SampledFrame, None]:
    """Yield the video's properties, then its sampled frames in order.

    Close the generator: it runs a child process.

    Args:
        payload: bytes of the video.
        container: container format, detected from the first bytes.
        limits: limits on the video.

    Raises:
        RequestError: the video is rejected or unreadable, or the extra ``video`` is not installed.
    """
    if not available():
        detail = "videos are not supported: the extra 'video' is not installed (pip install face-authenticity[video])"
        raise RequestError("video_unavailable", detail)
    with null_descriptor() as stderr:
        process = await asyncio.create_subprocess_exec(
            *command(_READER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=_PIPE_BYTES,
            env=environment(),
            start_new_session=True,  # Ctrl-C must reach only the service, which lets the reader finish
        )
    try:
        feed_task = asyncio.create_task(_feed(process, payload, container, limits))
        del payload
        try:
            async for fields, binary in _messages(process):
                yield _parse_message(fields, binary, container)
        finally:
            feed_task.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _feed(process: asyncio.subprocess.Process, payload: bytes, container: Container, limits: VideoLimits) -> None:
    pipe = process.stdin
    assert pipe is not None  # noqa: S101 - the process was started with a pipe
    header = io.BytesIO()
    write_message(header, asdict(limits) | {"container": container, "threads": 1, "bytes": len(payload)})
    with contextlib.suppress(ConnectionError):  # the reader rejected the video or died; its messages tell which
        pipe.write(header.getvalue())
        pipe.write(payload)
        del payload
        await pipe.drain()
        pipe.close()


async def _messages(process: asyncio.subprocess.Process) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
    """Yield messages until the end marker."""
    pipe = process.stdout
    assert pipe is not None  # noqa: S101 - the process was started with a pipe
    try:
        while True:
            (length,) = LENGTH.unpack(await pipe.readexactly(LENGTH.size))
            fields: dict[str, Any] = json.loads(await pipe.readexactly(length))
            if fields.get("end"):
                return
            yield fields, await pipe.readexactly(fields.get("bytes", 0))
    except asyncio.IncompleteReadError:
        raise RequestError(
            "corrupt_video", "the video cannot be read: the decoder process ended unexpectedly"
        ) from None


def _parse_message(fields: dict[str, Any], binary: bytes, container: Container) -> VideoFacts | SampledFrame:
    if code := fields.get("code"):
        raise RequestError(code, fields["detail"])
    if facts := fields.get("facts"):
        return VideoFacts(container, **facts)
    if "unreadable" in fields:
        return SampledFrame(fields["unreadable"], fields["time_s"], (0, 0), None)
    width, height = fields["width"], fields["height"]
    pixels = np.frombuffer(binary, np.uint8).reshape(height, width, 3)
    return SampledFrame(fields["frame"], fields["time_s"], (width, height), pixels)
