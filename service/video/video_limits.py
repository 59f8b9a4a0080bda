"""Supported containers and codecs, and the checks on a video before it is read."""

from typing import Final, Literal

from service.errors import RequestError
from service.limits import VideoLimits

Container = Literal["MP4", "MOV", "WEBM", "MKV"]
# FFmpeg's names.
CODECS: Final = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores")
HEAD_BYTES: Final = 64
# HEIC and AVIF pictures use the same box structure as MP4 and are excluded by brand.
_PICTURE_BRANDS: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")
_MATROSKA: Final = b"\x1a\x45\xdf\xa3"


def container_of(head: bytes) -> Container | None:
    """Return the container format by the first 64 bytes, regardless of the file name; None: not supported."""
    if head[4:8] == b"ftyp" and head[8:12] not in _PICTURE_BRANDS:
        return "MOV" if head[8:12] == b"qt  " else "MP4"
    if head[:4] == _MATROSKA:
        return "WEBM" if b"webm" in head else "MKV"
    return None


def check_video(payload: bytes, limits: VideoLimits) -> Container:
    """Return the container format of a payload.

    Raises:
        RequestError: the payload is empty, too large, or not a supported container.
    """
    if not payload:
        raise RequestError("empty_payload", "the video has 0 bytes")
    if len(payload) > limits.max_bytes:
        raise RequestError(
            "payload_too_large", f"the video has {len(payload)} bytes, over the limit of {limits.max_bytes}"
        )
    container = container_of(payload[:HEAD_BYTES])
    if container is None:
        detail = f"the first bytes {payload[:12].hex(' ')} are not those of MP4, MOV, WebM or Matroska"
        raise RequestError("unsupported_video", f"{detail}; send pictures to /predict")
    return container
