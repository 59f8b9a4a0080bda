"""Limits: which videos are read, how far, and what the first bytes must be."""

from typing import Final, Literal

from service.errors import RequestError
from service.limits import VideoLimits

Container = Literal["MP4", "MOV", "WEBM", "MKV"]
# As FFmpeg names them.
CODECS: Final = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores")
HEAD: Final = 64
# Brands of HEIC and AVIF, which are pictures in the same boxes.
_PICTURES: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_MATROSKA: Final = b"\x1a\x45\xdf\xa3"


def container_of(head: bytes) -> Container | None:
    """Return what kind of video a file is by its first 64 bytes, whatever its name says; None: not one that is read."""
    if head[4:8] == b"ftyp" and head[8:12] not in _PICTURES:
        return "MOV" if head[8:12] == b"qt  " else "MP4"
    if head[:4] == _MATROSKA:
        return "WEBM" if b"webm" in head else "MKV"
    return None


def check_video(payload: bytes, limits: VideoLimits) -> Container:
    """Return what kind of video a payload is.

    Raises:
        RequestError: it is empty, too long, or not a known container.
    """
    if not payload:
        raise RequestError("empty_payload", "the video has 0 bytes")
    if len(payload) > limits.max_bytes:
        raise RequestError("payload_too_large", f"{len(payload)} bytes are over the limit of {limits.max_bytes}")
    container = container_of(payload[:HEAD])
    if container is None:
        detail = f"the first bytes {payload[:12].hex(' ')} are not those of MP4, MOV, WebM or Matroska"
        raise RequestError("unsupported_video", f"{detail}; a picture goes to /predict")
    return container
