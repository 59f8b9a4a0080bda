"""Messages: what this process and one that reads a hostile file for it say to each other.

Each is a length, four bytes, little-endian; as many bytes of JSON; and, where that has ``bytes``, so many more.
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
        EOFError: the stream has ended.
    """
    (length,) = LENGTH.unpack(_exactly(stream, LENGTH.size))
    fields: dict[str, Any] = json.loads(_exactly(stream, length))
    return fields, _exactly(stream, fields.get("bytes", 0))


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
