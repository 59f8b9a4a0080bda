"""Keys: who is let in, by API keys of which only hashes are kept.

A key is 256 random bits, so that one round of SHA-256 is enough: there is nothing to be guessed.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"([A-Za-z0-9._-]{1,64})\s+([0-9a-f]{64})")
_LARGEST: Final = 1 << 20
_PREFIX: Final = "fa_"


class KeysError(Exception):
    """The file of API keys cannot be used; one line."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that are let in: names, and SHA-256 of the keys, hexadecimal."""

    holders: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Read a file of lines ``NAME SHA256``; empty ones and those that begin with ``#`` are passed over.

        Raises:
            KeysError: it cannot be read, a line is another, or there is no key.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            raise KeysError(f"'{path}' cannot be read: {error.strerror}") from None
        if len(content) > _LARGEST:
            raise KeysError(f"'{path}' has over {_LARGEST} bytes")
        holders = []
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if not (text := line.strip()) or text.startswith("#"):
                continue
            match = _LINE.fullmatch(text)
            if match is None:  # not shown: it may be a key
                raise KeysError(
                    f"'{path}': line {number} is not a name and a SHA-256, as 'service key NAME' writes them"
                )
            holders.append((match[1], match[2]))
        if not holders:
            raise KeysError(f"'{path}' holds no key: nobody would be let in")
        return cls(tuple(holders))

    def text(self) -> str:
        """Return the file that lets these keys in."""
        return "".join(f"{name} {digest}\n" for name, digest in self.holders)

    def holder(self, key: str) -> str | None:
        """Return whose key this is; None where it is nobody's. It takes as long for every key."""
        given = _digest(key)
        found = None
        for name, digest in self.holders:
            if hmac.compare_digest(digest, given):
                found = name
        return found


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and the line of the file that lets it in.

    Raises:
        KeysError: the name cannot stand there.
    """
    key = _PREFIX + secrets.token_urlsafe(32)
    line = f"{name} {_digest(key)}"
    if _LINE.fullmatch(line) is None:
        raise KeysError(f"the name {name[:80]!r} is not 1 to 64 letters, digits, '.', '_' or '-'")
    return key, line


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
