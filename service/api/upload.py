"""Request bodies, read into memory within limits on size and time."""

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
from service.video.video_limits import HEAD_BYTES, container_of

# Bytes of boundaries and part headers: per form, and per part of a batch.
_MULTIPART_OVERHEAD = 16 * 1024
_PART_OVERHEAD = 1024
_MAX_PARTS = 8
_ONE_FILE = f"one part named '{FIELD}'"


@dataclass(frozen=True, slots=True)
class Upload:
    """One of several pictures: the file name as sent by the client, if any, and the bytes."""

    filename: str | None
    payload: bytes


async def read_picture(request: Request, limits: BodyLimits) -> bytes:
    """Read the picture of a request, sent as raw ``image/*`` body or as multipart part ``file``.

    Args:
        request: a request whose body has not been read.
        limits: limits of the body.

    Raises:
        RequestError: there is no picture or more than one, or it is too large, too slow or of an unknown format.
    """
    payload = await read_file(request, "image", limits)
    check_payload(payload, limits.max_bytes)
    return payload


async def read_file(request: Request, kind: Literal["image", "video"], limits: BodyLimits) -> bytes:
    """Read the file of a request, without a check of its format.

    Args:
        request: a request whose body has not been read.
        kind: type of the media type ``kind/*`` of a raw body.
        limits: limits of the body.

    Raises:
        RequestError: there is no file or more than one, or it is too large or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        form = _create_form(options, _MAX_PARTS, _ONE_FILE)
        await _read_chunks(request, form.write, limits, _MULTIPART_OVERHEAD)
        parts = form.files()
        if len(parts) > 1:
            raise RequestError("too_many_files", f"{len(parts)} parts are named '{FIELD}'; send {_ONE_FILE}")
        return bytes(parts[0].data)
    if media_type.startswith(f"{kind}/".encode()):
        return await read_body(request, limits)
    raise _unsupported_media_type(media_type, f"multipart/form-data with a part '{FIELD}', or {kind}/*")


async def read_pictures(request: Request, max_files: int, limits: BodyLimits) -> list[Upload]:
    """Read the pictures of a request, sent as multipart parts named ``file``, without a check of their format.

    Args:
        request: a request whose body has not been read.
        max_files: maximum number of pictures.
        limits: limits of the body.

    Raises:
        RequestError: there are no pictures or too many, or together they are too large or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise _unsupported_media_type(media_type, f"multipart/form-data with a part '{FIELD}' for each picture")
    form = _create_form(options, max_files, f"at most {max_files} parts (SERVICE_MAX_FILES), all named '{FIELD}'")
    await _read_chunks(request, form.write, limits, _MULTIPART_OVERHEAD + max_files * _PART_OVERHEAD)
    return [Upload(part.filename, bytes(part.data)) for part in form.files()]


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Read the body unchanged.

    Raises:
        RequestError: the body is too large or too slow.
    """
    body = bytearray()
    await _read_chunks(request, body.extend, limits)
    return bytes(body)


def check_payload(payload: bytes, max_bytes: int) -> None:
    """Check the length and the format (by the first bytes) of a picture.

    Raises:
        RequestError: the picture is empty, too large or of an unknown format.
    """
    if not payload:
        raise RequestError("empty_payload", "the picture has 0 bytes")
    if len(payload) > max_bytes:
        raise _too_large(len(payload), max_bytes)
    try:
        sniff(payload[:12])
    except ImageError as error:
        video = "; send videos to /predict/video" if container_of(payload[:HEAD_BYTES]) else ""
        raise RequestError(error.code, f"{error}{video}") from None


def _create_form(options: dict[bytes, bytes], max_parts: int, expected: str) -> Form:
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestError("malformed_multipart", "the Content-Type has no boundary parameter")
    return Form(boundary, max_parts, expected)


def _unsupported_media_type(media_type: bytes, expected: str) -> RequestError:
    content_type = media_type.decode("latin-1") or "none"
    return RequestError("unsupported_media_type", f"Content-Type is {content_type[:100]!r}; send {expected}")


def _too_large(size: int, max_bytes: int) -> RequestError:
    return RequestError("payload_too_large", f"the payload has at least {size} bytes, over the limit of {max_bytes}")


async def _read_chunks(
    request: Request, write: Callable[[bytes], object], limits: BodyLimits, overhead: int = 0
) -> None:
    """Read the body, and pass it on chunk by chunk.

    Args:
        request: a request whose body has not been read.
        write: called with each chunk.
        limits: limits of the body.
        overhead: bytes that the body may have in addition to its payload.
    """
    max_length = limits.max_bytes + overhead
    declared_length = request.headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length) > max_length:
        raise _too_large(int(declared_length), limits.max_bytes)
    received = 0
    try:
        async with asyncio.timeout(limits.timeout_s) as deadline:
            with limits.budget.receive(deadline) as body:
                async for chunk in request.stream():
                    received += len(chunk)
                    if received > max_length:
                        raise _too_large(received, limits.max_bytes)
                    body.add(len(chunk))
                    write(chunk)
    except TimeoutError:
        if body.evicted:
            detail = f"upload stopped after {received} bytes to free memory (SERVICE_MAX_BUFFERED_MIB); retry"
        else:
            detail = f"the body was incomplete after the limit of {limits.timeout_s:g} s; {received} bytes had arrived"
        # A client that sends a byte from time to time could otherwise hold the connection indefinitely.
        raise RequestError("body_timeout", detail, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError("client_disconnected", f"the client closed the connection after {received} bytes") from None
