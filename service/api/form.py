"""Forms: a multipart body (RFC 7578) to its parts, parsed as it comes and never written to the disk."""

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
    """One part: the name of its field, the file name that the client gave, and its bytes.

    The bytes are grown in place: however small the pieces, no object is kept for each.
    """

    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)


class Form:
    """One multipart body.

    Args:
        boundary: as the Content-Type names it.
        most_parts: that it may hold.
        wanted: what to send instead of more, for the error.

    Raises:
        RequestError: it cannot be one.
    """

    def __init__(self, boundary: bytes, most_parts: int, wanted: str) -> None:
        self._parts: list[Part] = []
        self._most_parts, self._wanted = most_parts, wanted
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

    def files(self) -> list[Part]:
        """Return the parts named ``file``, at least one, once the whole body has been written.

        Raises:
            RequestError: the body is cut off, or holds no such part, or others.
        """
        with _as_request_error():
            self._parser.finalize()
        if self._written and not self._ended:
            raise RequestError("malformed_multipart", "the body ends before its closing boundary")
        names = [part.name for part in self._parts]
        if FIELD not in names:
            raise RequestError("missing_file", f"no part is named '{FIELD}'; parts found: {_listed(names) or 'none'}")
        if others := [name for name in names if name != FIELD]:
            raise RequestError("too_many_files", f"there are other parts ({_listed(others)}); send {self._wanted}")
        return self._parts

    def _on_part_begin(self) -> None:
        if len(self._parts) == self._most_parts:
            raise RequestError("too_many_files", f"more than {self._most_parts} parts; send {self._wanted}")
        self._headers = {}
        self._parts.append(Part())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        part, filename = self._parts[-1], options.get(b"filename")
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        part.filename = None if filename is None else filename.decode("utf-8", "replace")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1].data.extend(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:8])
    return f"{shown}, …" if len(names) > 8 else shown


@contextmanager
def _as_request_error() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise RequestError("malformed_multipart", f"{error}"[:200]) from None
