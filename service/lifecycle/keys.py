"""API keys, stored only as hashes.

A key has 256 random bits and cannot be guessed, so one round of SHA-256 is enough.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"([A-Za-z0-9._-]{1,64})\s+([0-9a-f]{64})")
_MAX_FILE_BYTES: Final = 1 << 20
_PREFIX: Final = "fa_"


class KeysError(Exception):
    """The file of API keys, or the name of a new key, is invalid; the message is one line."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The accepted API keys: pairs of name and SHA-256 of the key, hexadecimal."""

    holders: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Read a file of lines ``NAME SHA256``; empty lines and lines that start with ``#`` are ignored.

        Raises:
            KeysError: the file cannot be read, has an invalid line, or contains no key.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise KeysError(f"'{path}' cannot be read: {error.strerror}") from None
        if len(content) > _MAX_FILE_BYTES:
            raise KeysError(f"'{path}' is over the limit of {_MAX_FILE_BYTES} bytes")
        holders = []
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if not (text := line.strip()) or text.startswith("#"):
                continue
            match = _LINE.fullmatch(text)
            if match is None:  # the line is not shown: it may be a key
                raise KeysError(f"'{path}': line {number} is not a name and a SHA-256 as printed by 'service key NAME'")
            holders.append((match[1], match[2]))
        if not holders:
            raise KeysError(f"'{path}' contains no key, so every request would be refused")
        return cls(tuple(holders))

    def text(self) -> str:
        """Return the content of a file with these keys."""
        return "".join(f"{name} {digest}\n" for name, digest in self.holders)

    def holder(self, key: str) -> str | None:
        """Return the name of a key's holder, None for an unknown key, in constant time."""
        key_digest = _digest(key)
        holder = None
        for name, digest in self.holders:
            if hmac.compare_digest(digest, key_digest):
                holder = name
        return holder


def new_key(name: str) -> tuple[str, str]:
    """Return a new key and its line for the file of API keys.

    Raises:
        KeysError: the name is invalid.
    """
    key = _PREFIX + secrets.token_urlsafe(32)
    line = f"{name} {_digest(key)}"
    if _LINE.fullmatch(line) is None:
        raise KeysError(f"the name {name[:80]!r} is not 1 to 64 letters, digits, '.', '_' or '-'")
    return key, line


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
