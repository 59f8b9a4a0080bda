"""Messages between the service and a child process that reads a hostile file.

A message is a 4-byte little-endian length, that many bytes of JSON and, if the JSON has the key ``bytes``, that many
bytes of binary data.
"""

import json
import struct
from typing import IO, Any, Final

LENGTH: Final = struct.Struct("<I")


def write_message(stream: IO[bytes], fields: dict[str, Any], binary: bytes | memoryview = b"") -> None:
    """Write one message."""
    if binary:
        fields = fields | {"bytes": len(binary)}
    text = json.dumps(fields).encode()
    stream.write(LENGTH.pack(len(text)) + text)
    stream.write(binary)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Raises:
        EOFError: the stream ended before the message did.
    """
    (length,) = LENGTH.unpack(_read_exactly(stream, LENGTH.size))
    fields: dict[str, Any] = json.loads(_read_exactly(stream, length))
    return fields, _read_exactly(stream, fields.get("bytes", 0))


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
