"""Reader process: decode one video with FFmpeg (PyAV).

A hostile video can make a decoder crash, hang or exhaust memory. Decoding therefore runs in a separate process with
limits on memory and CPU time, which cannot write files.

The process reads one message with the limits and the file, and writes the sampled frames, then an end marker or an
error.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from service.sandbox.confinement import confine
from service.sandbox.messages import read_message, write_message
from service.video.sampling import Coded, Target, seconds, targets
from service.video.video_limits import CODECS

MAX_MEMORY_BYTES: Final = 3 * 1024**3
_DEMUXERS: Final = {"MP4": "mov", "MOV": "mov", "WEBM": "matroska", "MKV": "matroska"}
_ATTACHED_PICTURE: Final = 0x400  # AV_DISPOSITION_ATTACHED_PIC


class Refused(Exception):
    """The video is rejected; ``code`` is an error code of the service."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def main() -> None:
    """Read one video from standard input and write its frames to standard output."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps FFmpeg's own output out of the message stream
    limits, payload = read_message(sys.stdin.buffer)
    confine(MAX_MEMORY_BYTES, int(limits["deadline_s"]) + 1)
    av.logging.set_level(av.logging.PANIC)
    try:
        _read(payload, limits, output)
    except Refused as refused:
        write_message(output, {"code": refused.code, "detail": str(refused)})
    except av.FFmpegError as error:
        write_message(output, {"code": "corrupt_video", "detail": f"the video cannot be read: {_error_text(error)}"})
    except MemoryError:
        write_message(
            output, {"code": "corrupt_video", "detail": f"decoding needs more than {MAX_MEMORY_BYTES} bytes of memory"}
        )


def _read(payload: bytes, limits: dict[str, Any], output: BinaryIO) -> None:
    with _open(payload, limits) as container:
        stream = _select_stream(container, limits)
        coded, complete = _list_frames(container, stream, limits)
        tick_s = float(stream.time_base or 0)
        duration_s = seconds(coded, tick_s)
        if duration_s > limits["max_s"]:
            raise Refused(
                "video_too_long", f"the video lasts {duration_s:.1f} s, over the limit of {limits['max_s']:g} s"
            )
        declared_s = stream.duration * tick_s if stream.duration else (container.duration or 0) / av.time_base
        facts = {
            "codec": stream.codec_context.codec.canonical_name,
            "duration_s": round(duration_s, 3),
            "declared_duration_s": round(declared_s, 3) if declared_s > 0 else None,
            "frames": len(coded),
            "complete": complete and (not stream.frames or len(coded) >= stream.frames),
        }
        write_message(output, {"facts": facts})
    selected = targets(coded, limits["samples"])
    # Reopened: a demuxer may not recover after damage.
    with _open(payload, limits) as container:
        stream = _select_stream(container, limits)
        first_time = min(frame.time for frame in coded)
        for target, frame in _decode_targets(container, stream, selected):
            time_s = round((target.time - first_time) * tick_s, 3)
            if frame is None:
                write_message(output, {"unreadable": target.index, "time_s": time_s})
                continue
            if frame.width * frame.height > limits["max_pixels"]:  # the size may change within the stream
                raise _too_many_pixels(frame.width, frame.height, limits)
            pixels = _upright(frame)
            height, width, _ = pixels.shape
            fields = {"frame": target.index, "time_s": time_s, "width": width, "height": height}
            write_message(output, fields, pixels.data.cast("B"))
    write_message(output, {"end": True})


def _open(payload: bytes, limits: dict[str, Any]) -> Any:
    return av.open(io.BytesIO(payload), format=_DEMUXERS[limits["container"]], metadata_errors="ignore")


def _select_stream(container: Any, limits: dict[str, Any]) -> VideoStream:
    """Return the first video stream after checking its header against the limits."""
    streams = [stream for stream in container.streams.video if not int(stream.disposition) & _ATTACHED_PICTURE]
    if not streams and container.streams.audio:
        raise Refused("no_frames", "the file has no video stream, only audio")
    if not streams:
        raise Refused("corrupt_video", "the file ends before its stream information")
    stream: VideoStream = streams[0]
    context = stream.codec_context
    codec = "unknown" if context is None else context.codec.canonical_name
    if codec not in CODECS:
        raise Refused("unsupported_video", f"the codec {codec} is not supported, only {', '.join(CODECS)}")
    if context.width * context.height > limits["max_pixels"]:
        raise _too_many_pixels(context.width, context.height, limits)
    context.thread_count = limits["threads"]
    context.thread_type = "AUTO"
    return stream


def _too_many_pixels(width: int, height: int, limits: dict[str, Any]) -> Refused:
    pixels = width * height
    detail = f"frames of {width} x {height} = {pixels} pixels are over the limit of {limits['max_pixels']}"
    return Refused("too_many_pixels", detail)


def _list_frames(container: Any, stream: VideoStream, limits: dict[str, Any]) -> tuple[list[Coded], bool]:
    """Return every coded frame in file order, without decoding, and whether the file was read to its end."""
    coded: list[Coded] = []
    complete = True
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                coded.append(Coded(packet.pts, packet.is_keyframe))
                complete &= not packet.is_corrupt
            if len(coded) > limits["max_frames"]:
                raise Refused("video_too_long", f"the video has more frames than the limit of {limits['max_frames']}")
    except av.FFmpegError:
        complete = False
    if not coded:
        raise Refused("no_frames" if complete else "corrupt_video", "the file contains no readable frame")
    return coded, complete


def _decode_targets(
    container: Any, stream: VideoStream, selected: list[Target]
) -> Iterator[tuple[Target, VideoFrame | None]]:
    """Yield the target frames, None for those that cannot be decoded; seek to a key frame where that saves work."""
    frames: Iterator[VideoFrame] = iter(())
    position: int | None = None
    next_frame: VideoFrame | None = None
    for target in selected:
        if position is None or (target.begin is not None and target.begin > position):
            container.seek(target.time if target.begin is None else target.begin, stream=stream)
            frames, next_frame = _decode_frames(container, stream), None
        frame = next_frame or next(frames, None)
        while frame is not None and (frame.pts is None or frame.pts < target.time):
            position = frame.pts if frame.pts is not None else position
            frame = next(frames, None)
        exact = frame is not None and frame.pts == target.time
        next_frame = None if exact else frame
        position = target.time
        yield target, frame if exact and frame is not None and not frame.is_corrupt else None


def _decode_frames(container: Any, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames that can be decoded from the current position; skip packets that cannot."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):  # the file ends or is truncated
            return
        with suppress(av.FFmpegError):
            yield from packet.decode()


def _upright(frame: VideoFrame) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return the frame as displayed, uint8 ``[H, W, 3]`` RGB."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90 % 4))


def _error_text(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


if __name__ == "__main__":
    main()
