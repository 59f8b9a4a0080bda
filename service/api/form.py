"""Incremental parser for multipart/form-data (RFC 7578); parts stay in memory and are never written to disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"


@dataclass(slots=True)
class Part:
    """One part: field name, file name as sent by the client, and content.

    The content grows in place, so that many small chunks do not keep one object each.
    """

    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)


class Form:
    """A multipart body.

    Args:
        boundary: from the Content-Type.
        max_parts: maximum number of parts.
        expected: what the client should send; completes the error messages.

    Raises:
        RequestError: the boundary is invalid.
    """

    def __init__(self, boundary: bytes, max_parts: int, expected: str) -> None:
        self._parts: list[Part] = []
        self._max_parts, self._expected = max_parts, expected
        self._ended = False
        self._header_name, self._header_value = b"", b""
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
        self._bytes_written = 0
        with _as_request_error():
            self._parser = MultipartParser(boundary, callbacks)

    def write(self, chunk: bytes) -> None:
        """Parse the next chunk.

        Raises:
            RequestError: the body is malformed or has too many parts.
        """
        self._bytes_written += len(chunk)
        with _as_request_error():
            self._parser.write(chunk)

    def files(self) -> list[Part]:
        """Return the parts, all of them named ``file``, at least one; call after the last :meth:`write`.

        Raises:
            RequestError: the body is incomplete, has no part named ``file``, or has parts with other names.
        """
        with _as_request_error():
            self._parser.finalize()
        if self._bytes_written and not self._ended:
            raise RequestError("malformed_multipart", "the body ends before its closing boundary")
        names = [part.name for part in self._parts]
        if FIELD not in names:
            raise RequestError(
                "missing_file", f"no part is named '{FIELD}'; parts found: {_format_names(names) or 'none'}"
            )
        if unexpected := [name for name in names if name != FIELD]:
            raise RequestError(
                "too_many_files", f"unexpected parts: {_format_names(unexpected)}; send {self._expected}"
            )
        return self._parts

    def _on_part_begin(self) -> None:
        if len(self._parts) == self._max_parts:
            raise RequestError("too_many_files", f"more than {self._max_parts} parts; send {self._expected}")
        self._headers = {}
        self._parts.append(Part())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        part, filename = self._parts[-1], options.get(b"filename")
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        part.filename = None if filename is None else filename.decode("utf-8", "replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1].data.extend(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _format_names(names: list[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown}, …" if len(names) > 8 else shown


@contextmanager
def _as_request_error() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise RequestError("malformed_multipart", f"{error}"[:200]) from None
