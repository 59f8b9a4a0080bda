"""Intake: a request's body to the bytes of its pictures, counted, within a deadline, in memory."""

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
from service.lifecycle.body_budget import Arrivals
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


async def read_picture(request: Request, max_bytes: int, timeout_s: float, arrivals: Arrivals) -> bytes:
    """Return the picture that a request carries, as raw ``image/*`` body or as multipart part ``file``.

    Args:
        request: its headers have been read.
        max_bytes: longest picture, bytes.
        timeout_s: for the body to arrive, seconds.
        arrivals: all that are under way.

    Raises:
        RequestError: no picture, several, too large, too slow, or not a known format.
    """
    payload = await read_file(request, "image", max_bytes, timeout_s, arrivals)
    check_payload(payload, max_bytes)
    return payload


async def read_file(
    request: Request, kind: Literal["image", "video"], max_bytes: int, timeout_s: float, arrivals: Arrivals
) -> bytes:
    """Return the one file that a request carries, whatever it is.

    Args:
        request: its headers have been read.
        kind: of the media type that a raw body has.
        max_bytes: longest file, bytes.
        timeout_s: for the body to arrive, seconds.
        arrivals: all that are under way.

    Raises:
        RequestError: no file, several, too large, or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        form = _form(options, _MAX_PARTS, _ONE_FILE)
        await _read(request, form.write, max_bytes + _MULTIPART_OVERHEAD, max_bytes, timeout_s, arrivals)
        parts = form.files()
        if len(parts) > 1:
            raise RequestError("too_many_files", f"{len(parts)} parts are named '{FIELD}'; send {_ONE_FILE}")
        return bytes(parts[0].data)
    if media_type.startswith(f"{kind}/".encode()):
        return await read_body(request, max_bytes, timeout_s, arrivals)
    raise _unsupported(media_type, f"multipart/form-data with a part '{FIELD}', or {kind}/*")


async def read_pictures(
    request: Request, max_files: int, max_bytes: int, timeout_s: float, arrivals: Arrivals
) -> list[Upload]:
    """Return the pictures that a request carries as multipart parts named ``file``; each by itself is not checked yet.

    Args:
        request: its headers have been read.
        max_files: most pictures.
        max_bytes: of all of them together.
        timeout_s: for the body to arrive, seconds.
        arrivals: all that are under way.

    Raises:
        RequestError: no picture, too many, too large together, or too slow.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type != b"multipart/form-data":
        raise _unsupported(media_type, f"multipart/form-data with a part '{FIELD}' for each picture")
    form = _form(options, max_files, f"at most {max_files} parts (SERVICE_MAX_FILES), all of them named '{FIELD}'")
    limit = max_bytes + _MULTIPART_OVERHEAD + max_files * _PART_OVERHEAD
    await _read(request, form.write, limit, max_bytes, timeout_s, arrivals)
    return [Upload(part.filename, bytes(part.data)) for part in form.files()]


async def read_body(request: Request, max_bytes: int, timeout_s: float, arrivals: Arrivals) -> bytes:
    """Return the body as it is.

    Raises:
        RequestError: it is too large or too slow.
    """
    body = bytearray()
    await _read(request, body.extend, max_bytes, max_bytes, timeout_s, arrivals)
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


async def _read(
    request: Request,
    take: Callable[[bytes], object],
    limit: int,
    max_bytes: int,
    timeout_s: float,
    arrivals: Arrivals,
) -> None:
    """Hand the body on as it comes, up to ``limit`` bytes."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(int(announced), max_bytes)
    arrived = 0
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            with arrivals.receive(deadline) as arrival:
                async for chunk in request.stream():
                    arrived += len(chunk)
                    if arrived > limit:
                        raise _too_large(arrived, max_bytes)
                    arrival.add(len(chunk))
                    take(chunk)
    except TimeoutError:
        if arrival.displaced:
            detail = f"after {arrived} bytes, to make room for others that arrive"
        else:
            detail = f"{arrived} bytes arrived within the limit of {timeout_s:g} s"
        # Closed, because whoever sends a byte now and then would hold the connection for good.
        raise RequestError("body_timeout", detail, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError("client_disconnected", f"the client left after {arrived} bytes") from None
