"""Request bodies to the bytes of pictures: counted, within a deadline, in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.api.form import FIELD, Form
from service.contract.image.decode import sniff
from service.contract.image.image_errors import ImageError
from service.errors import RequestError
from service.lifecycle.body_budget import BodyLimits
from service.video.video_limits import HEAD, container_of

# Boundaries and part headers around the picture; and around each of several.
_MULTIPART_OVERHEAD = 16 * 1024
_PART_OVERHEAD = 1024
_MAX_PARTS = 8
_ONE_FILE = f"one part named '{FIELD}'"


@dataclass(frozen=True, slots=True)
class Upload:
    """One of several pictures: the file name that the client gave, if any, and the bytes."""

    filename: str | None
    payload: bytes


async def read_picture(request: Request, limits: BodyLimits) -> bytes:
    """Return the picture of a request, sent as raw ``image/*`` body or as multipart part ``file``.

    Args:
        request: whose body has not been read.
        limits: of the body.

    Raises:
        RequestError: no picture, several, too large, too slow, or not a known format.
    """
    payload = await read_file(request, "image", limits)
    check_payload(payload, limits.max_bytes)
    return payload


async def read_file(request: Request, kind: Literal["image", "video"], limits: BodyLimits) -> bytes:
    """Return the one file of a request, whatever its format.

    Args:
        request: whose body has not been read.
        kind: of the media type of a raw body.
        limits: of the body.

    Raises:
        RequestError: no file, several, too large, or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        form = _form(options, _MAX_PARTS, _ONE_FILE)
        await _read(request, form.write, limits, _MULTIPART_OVERHEAD)
        parts = form.files()
        if len(parts) > 1:
            raise RequestError("too_many_files", f"{len(parts)} parts are named '{FIELD}'; send {_ONE_FILE}")
        return bytes(parts[0].data)
    if media_type.startswith(f"{kind}/".encode()):
        return await read_body(request, limits)
    raise _unsupported(media_type, f"multipart/form-data with a part '{FIELD}', or {kind}/*")


async def read_pictures(request: Request, max_files: int, limits: BodyLimits) -> list[Upload]:
    """Return the pictures of a request, sent as multipart parts named ``file``; each is still to be checked.

    Args:
        request: whose body has not been read.
        max_files: pictures in one request.
        limits: of the body.

    Raises:
        RequestError: no picture, too many, too large together, or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise _unsupported(media_type, f"multipart/form-data with a part '{FIELD}' for each picture")
    form = _form(options, max_files, f"at most {max_files} parts (SERVICE_MAX_FILES), all of them named '{FIELD}'")
    await _read(request, form.write, limits, _MULTIPART_OVERHEAD + max_files * _PART_OVERHEAD)
    return [Upload(part.filename, bytes(part.data)) for part in form.files()]


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Return the body as it is.

    Raises:
        RequestError: it is too large or too slow.
    """
    body = bytearray()
    await _read(request, body.extend, limits)
    return bytes(body)


def check_payload(payload: bytes, max_bytes: int) -> None:
    """Refuse what by its length and its first bytes is no picture to be scored.

    Raises:
        RequestError: it is empty, too long, or not a known format.
    """
    if not payload:
        raise RequestError("empty_payload", "the picture has 0 bytes")
    if len(payload) > max_bytes:
        raise _too_large(len(payload), max_bytes)
    try:
        sniff(payload[:12])
    except ImageError as error:
        video = "; a video goes to /predict/video" if container_of(payload[:HEAD]) else ""
        raise RequestError(error.code, f"{error}{video}") from None


def _form(options: dict[bytes, bytes], most_parts: int, wanted: str) -> Form:
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestError("malformed_multipart", "the Content-Type names no boundary")
    return Form(boundary, most_parts, wanted)


def _unsupported(media_type: bytes, wanted: str) -> RequestError:
    given = media_type.decode("latin-1") or "none"
    return RequestError("unsupported_media_type", f"Content-Type is {given[:100]!r}; send {wanted}")


def _too_large(size: int, max_bytes: int) -> RequestError:
    return RequestError("payload_too_large", f"{size} bytes or more are over the limit of {max_bytes}")


async def _read(request: Request, take: Callable[[bytes], object], limits: BodyLimits, overhead: int = 0) -> None:
    """Hand the body on chunk by chunk.

    Args:
        request: whose body has not been read.
        take: called with each chunk.
        limits: of the body.
        overhead: bytes that the body may have beside its payload.
    """
    max_length = limits.max_bytes + overhead
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_length:
        raise _too_large(int(announced), limits.max_bytes)
    received = 0
    try:
        async with asyncio.timeout(limits.timeout_s) as deadline:
            with limits.budget.receive(deadline) as body:
                async for chunk in request.stream():
                    received += len(chunk)
                    if received > max_length:
                        raise _too_large(received, limits.max_bytes)
                    body.add(len(chunk))
                    take(chunk)
    except TimeoutError:
        if body.evicted:
            detail = f"after {received} bytes, to make room for others that arrive"
        else:
            detail = f"{received} bytes arrived within the limit of {limits.timeout_s:g} s"
        # Closed, because a client that sends a byte now and then would hold the connection for good.
        raise RequestError("body_timeout", detail, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError("client_disconnected", f"the client left after {received} bytes") from None
