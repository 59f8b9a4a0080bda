"""Intake: a request's body to the bytes of one picture, counted, within a deadline, in memory."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.arrivals import Arrivals
from service.contract.image import sniff
from service.contract.refusals import ImageError
from service.errors import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
# Boundaries and part headers around the picture.
_MULTIPART_OVERHEAD = 16 * 1024
_MAX_PARTS = 8


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
    media_type, options = parse_options_header(request.headers.get("content-type"))
    if media_type == b"multipart/form-data":
        boundary = options.get(b"boundary")
        if not boundary:
            raise RequestError("malformed_multipart", "the Content-Type names no boundary")
        form = _Form(boundary)
        await _read_body(request, form.write, max_bytes + _MULTIPART_OVERHEAD, max_bytes, timeout_s, arrivals)
        payload = form.single_file()
        if len(payload) > max_bytes:
            raise _too_large(len(payload), max_bytes)
    elif media_type.startswith(b"image/"):
        body = bytearray()
        await _read_body(request, body.extend, max_bytes, max_bytes, timeout_s, arrivals)
        payload = bytes(body)
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


async def _read_body(
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


class _Form:
    """One multipart body (RFC 7578), parsed as it comes and never written to the disk.

    Args:
        boundary: as the Content-Type names it.

    Raises:
        RequestError: it cannot be one.
    """

    def __init__(self, boundary: bytes) -> None:
        # Grown in place: however small the pieces, no object is kept for each.
        self._parts: list[tuple[str, bytearray]] = []
        self._ended = False
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_end": self._on_end,
        }
        self._written = 0
        with _as_request_error():
            self._parser = MultipartParser(boundary, callbacks)

    def write(self, chunk: bytes) -> None:
        """Parse what has come.

        Raises:
            RequestError: it is malformed, or holds too many parts.
        """
        self._written += len(chunk)
        with _as_request_error():
            self._parser.write(chunk)

    def single_file(self) -> bytes:
        """Return the bytes of the part ``file``, once the whole body has been written.

        Raises:
            RequestError: the body is cut off, or holds no such part, or others.
        """
        with _as_request_error():
            self._parser.finalize()
        if self._written and not self._ended:
            raise RequestError("malformed_multipart", "the body ends before its closing boundary")
        names = [name for name, _ in self._parts]
        if FIELD not in names:
            found = ", ".join(repr(name[:40]) for name in names) or "none"
            raise RequestError("missing_file", f"no part is named '{FIELD}'; parts found: {found}")
        if len(names) > 1:
            found = ", ".join(repr(name[:40]) for name in names)
            raise RequestError("too_many_files", f"{len(names)} parts ({found}); send one part named '{FIELD}'")
        return bytes(self._parts[0][1])

    def _on_part_begin(self) -> None:
        if len(self._parts) == _MAX_PARTS:
            raise RequestError("too_many_files", f"more than {_MAX_PARTS} parts; send one part named '{FIELD}'")
        self._headers = {}
        self._parts.append(("", bytearray()))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._parts[-1] = (options.get(b"name", b"").decode("utf-8", "replace"), self._parts[-1][1])

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1][1].extend(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._ended = True


@contextmanager
def _as_request_error() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise RequestError("malformed_multipart", f"{error}"[:200]) from None
