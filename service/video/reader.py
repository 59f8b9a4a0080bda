"""Reader: the process that decodes one video, by FFmpeg (PyAV), for another one to score.

A video may come from a stranger, and a decoder may crash on it, hang, or take all memory there is. It is a process of
its own that is lost then, with bounds on memory and processor time, and can write no file.

It reads one message, the limits and the file, and writes the sampled frames and what became of the rest.
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

MEMORY: Final = 3 * 1024**3
_DEMUXERS: Final = {"MP4": "mov", "MOV": "mov", "WEBM": "matroska", "MKV": "matroska"}
_COVER: Final = 0x400  # AV_DISPOSITION_ATTACHED_PIC


class Refused(Exception):
    """The video is refused: an error code of the service, and why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def main() -> None:
    """Read one video from standard input, write its frames to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever FFmpeg prints is not an answer
    limits, payload = read_message(sys.stdin.buffer)
    confine(MEMORY, int(limits["deadline_s"]) + 1)
    av.logging.set_level(av.logging.PANIC)
    try:
        _read(payload, limits, answers)
    except Refused as refused:
        write_message(answers, {"code": refused.code, "detail": str(refused)})
    except av.FFmpegError as error:
        write_message(answers, {"code": "corrupt_video", "detail": f"it cannot be read: {_said(error)}"})
    except MemoryError:
        write_message(answers, {"code": "corrupt_video", "detail": f"it needs over {MEMORY} bytes of memory"})


def _read(payload: bytes, limits: dict[str, Any], answers: BinaryIO) -> None:
    with _opened(payload, limits) as container:
        stream = _stream(container, limits)
        coded, whole = _listed(container, stream, limits)
        tick_s = float(stream.time_base or 0)
        duration_s = seconds(coded, tick_s)
        if duration_s > limits["max_s"]:
            raise Refused("video_too_long", f"{duration_s:.1f} s are over the limit of {limits['max_s']:g} s")
        declared = stream.duration * tick_s if stream.duration else (container.duration or 0) / av.time_base
        facts = {
            "codec": stream.codec_context.codec.canonical_name,
            "duration_s": round(duration_s, 3),
            "declared_duration_s": round(declared, 3) if declared > 0 else None,
            "frames": len(coded),
            "complete": whole and (not stream.frames or len(coded) >= stream.frames),
        }
        write_message(answers, {"facts": facts})
    chosen = targets(coded, limits["samples"])
    # Anew, for a demuxer that met damage may not find its way back.
    with _opened(payload, limits) as container:
        stream = _stream(container, limits)
        first = min(frame.time for frame in coded)
        for target, frame in _decoded(container, stream, chosen):
            time_s = round((target.time - first) * tick_s, 3)
            if frame is None:
                write_message(answers, {"unreadable": target.index, "time_s": time_s})
                continue
            if frame.width * frame.height > limits["max_pixels"]:  # it may change on the way
                raise _too_many_pixels(frame.width, frame.height, limits)
            pixels = _upright(frame)
            height, width, _ = pixels.shape
            fields = {"frame": target.index, "time_s": time_s, "width": width, "height": height}
            write_message(answers, fields, pixels.data.cast("B"))
    write_message(answers, {"end": True})


def _opened(payload: bytes, limits: dict[str, Any]) -> Any:
    return av.open(io.BytesIO(payload), format=_DEMUXERS[limits["container"]], metadata_errors="ignore")


def _stream(container: Any, limits: dict[str, Any]) -> VideoStream:
    """Return the video itself, its header within the limits."""
    found = [stream for stream in container.streams.video if not int(stream.disposition) & _COVER]
    if not found and container.streams.audio:
        raise Refused("no_frames", "there is no video in it, only audio")
    if not found:
        raise Refused("corrupt_video", "it breaks off before what says what is in it")
    stream: VideoStream = found[0]
    context = stream.codec_context
    name = "unknown" if context is None else context.codec.canonical_name
    if name not in CODECS:
        raise Refused("unsupported_video", f"its codec is {name}, not one of {', '.join(CODECS)}")
    if context.width * context.height > limits["max_pixels"]:
        raise _too_many_pixels(context.width, context.height, limits)
    context.thread_count = limits["threads"]
    context.thread_type = "AUTO"
    return stream


def _too_many_pixels(width: int, height: int, limits: dict[str, Any]) -> Refused:
    pixels = width * height
    detail = f"frames of {width} x {height} = {pixels} pixels are over the limit of {limits['max_pixels']}"
    return Refused("too_many_pixels", detail)


def _listed(container: Any, stream: VideoStream, limits: dict[str, Any]) -> tuple[list[Coded], bool]:
    """Return every frame as it lies in the file, none decoded, and whether the file could be read to its end."""
    coded: list[Coded] = []
    whole = True
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                coded.append(Coded(packet.pts, packet.is_keyframe))
                whole &= not packet.is_corrupt
            if len(coded) > limits["max_frames"]:
                raise Refused("video_too_long", f"over {limits['max_frames']} frames, which is the limit")
    except av.FFmpegError:
        whole = False
    if not coded:
        raise Refused("no_frames" if whole else "corrupt_video", "it holds no frame that can be read")
    return coded, whole


def _decoded(container: Any, stream: VideoStream, chosen: list[Target]) -> Iterator[tuple[Target, VideoFrame | None]]:
    """Yield the frames, None where one cannot be decoded; from the last key frame before each where that saves work."""
    frames: Iterator[VideoFrame] = iter(())
    reached: int | None = None
    ahead: VideoFrame | None = None
    for target in chosen:
        if reached is None or (target.begin is not None and target.begin > reached):
            container.seek(target.time if target.begin is None else target.begin, stream=stream)
            frames, ahead = _frames(container, stream), None
        frame = ahead or next(frames, None)
        while frame is not None and (frame.pts is None or frame.pts < target.time):
            reached = frame.pts if frame.pts is not None else reached
            frame = next(frames, None)
        exact = frame is not None and frame.pts == target.time
        ahead = None if exact else frame
        reached = target.time
        yield target, frame if exact and frame is not None and not frame.is_corrupt else None


def _frames(container: Any, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield what can be decoded from here on; a packet that cannot is stepped over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):  # the file ends, or is cut
            return
        with suppress(av.FFmpegError):
            yield from packet.decode()


def _upright(frame: VideoFrame) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return the frame as it is shown, uint8 ``[H, W, 3]`` RGB."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90 % 4))


def _said(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]


if __name__ == "__main__":
    main()
