"""Intake: a request's body to the bytes of one picture, counted, within a deadline, in memory."""

import asyncio
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.contract.image import ImageError, sniff
from service.errors import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
# Boundaries and part headers around the picture.
_MULTIPART_OVERHEAD = 16 * 1024
_MAX_PARTS = 8


async def read_picture(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """Return the picture that a request carries, as raw ``image/*`` body or as multipart part ``file``.

    Raises:
        RequestError: no picture, several, too large, too slow, or not a known format.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        boundary = options.get(b"boundary")
        if not boundary:
            raise RequestError("malformed_multipart", "the Content-Type names no boundary")
        body = await _read_body(request, max_bytes + _MULTIPART_OVERHEAD, max_bytes, timeout_s)
        payload = _single_file(_parts(body, boundary))
        if len(payload) > max_bytes:
            raise _too_large(len(payload), max_bytes)
    elif media_type.startswith(b"image/"):
        payload = await _read_body(request, max_bytes, max_bytes, timeout_s)
    else:
        given = media_type.decode("latin-1") or "none"
        raise RequestError(
            "unsupported_media_type",
            f"Content-Type is {given[:100]!r}; send multipart/form-data with a part '{FIELD}', or image/*",
        )
    if not payload:
        raise RequestError("empty_payload", "the picture has 0 bytes")
    try:
        sniff(payload[:12])
    except ImageError as error:
        raise RequestError(error.code, str(error)) from None
    return payload


def _too_large(size: int, max_bytes: int) -> RequestError:
    return RequestError("payload_too_large", f"{size} bytes or more are over the limit of {max_bytes}")


async def _read_body(request: Request, limit: int, max_bytes: int, timeout_s: float) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(int(announced), max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(len(body), max_bytes)
    except TimeoutError:
        raise RequestError("body_timeout", f"{len(body)} bytes arrived within the limit of {timeout_s:g} s") from None
    except ClientDisconnect:
        raise RequestError("client_disconnected", f"the client left after {len(body)} bytes") from None
    return bytes(body)


class _Parts:
    """Collects the parts of one multipart body from the parser's callbacks."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, bytearray]] = []
        self.ended = False
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}

    def on_part_begin(self) -> None:
        if len(self.parts) == _MAX_PARTS:
            raise RequestError("too_many_files", f"more than {_MAX_PARTS} parts; send one part named '{FIELD}'")
        self._headers = {}
        self.parts.append(("", bytearray()))

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self.parts[-1] = (options.get(b"name", b"").decode("utf-8", "replace"), self.parts[-1][1])

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1][1].extend(memoryview(data)[start:end])

    def on_end(self) -> None:
        self.ended = True


def _parts(body: bytes, boundary: bytes) -> list[tuple[str, bytearray]]:
    """Parse a whole multipart body (RFC 7578) in memory; the parser never touches the disk."""
    parts = _Parts()
    callbacks: MultipartCallbacks = {
        "on_part_begin": parts.on_part_begin,
        "on_header_field": parts.on_header_field,
        "on_header_value": parts.on_header_value,
        "on_header_end": parts.on_header_end,
        "on_headers_finished": parts.on_headers_finished,
        "on_part_data": parts.on_part_data,
        "on_end": parts.on_end,
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError("malformed_multipart", f"{error}"[:200]) from None
    if body and not parts.ended:
        raise RequestError("malformed_multipart", "the body ends before its closing boundary")
    return parts.parts


def _single_file(parts: list[tuple[str, bytearray]]) -> bytes:
    names = [name for name, _ in parts]
    if FIELD not in names:
        found = ", ".join(repr(name[:40]) for name in names) or "none"
        raise RequestError("missing_file", f"no part is named '{FIELD}'; parts found: {found}")
    if len(parts) > 1:
        found = ", ".join(repr(name[:40]) for name in names)
        raise RequestError("too_many_files", f"{len(parts)} parts ({found}); send one part named '{FIELD}'")
    return bytes(parts[0][1])
