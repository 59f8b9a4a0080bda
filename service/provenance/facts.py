"""Facts: what one picture's file says of where it comes from."""

import logging
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import IO, Any, Final

from service.confined import environment
from service.contract.exif import camera
from service.contract.image import DecodedImage
from service.messages import read_message, write_message

_log = logging.getLogger(__name__)
# For one picture; the start of the process is in it now and then.
_PATIENCE_S: Final = 3.0
# In every picture that carries a manifest: a JUMBF box, and the label of the store in it (ISO 19566-5, C2PA 2.2, 11.1).
_BOX, _LABEL = b"jumb", b"c2pa"
_FAILED: Final[dict[str, Any]] = {"present": True, "checked": False, "problems": ["reader_failed"]}


class Provenance:
    """Reads what files say of themselves. Thread-safe.

    Content Credentials are looked for in pictures that carry the marks of a manifest alone, and read by a process that
    is started for the first of them, and anew if one ends it.

    Args:
        anchors: certificates whose word on issuers is taken, PEM; None: nobody's.
    """

    def __init__(self, anchors: str | None = None) -> None:
        self._anchors = anchors
        self._installed = find_spec("c2pa") is not None
        self._lock = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None

    def of(self, payload: bytes, image: DecodedImage) -> dict[str, Any]:
        """Return what :class:`service.schemas.Provenance` describes.

        Args:
            payload: of the picture.
            image: as decoded from it.
        """
        found = {"content_credentials": self._credentials(payload, image.format)}
        return found | ({"camera": said} if (said := camera(image.exif)) else {})

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _credentials(self, payload: bytes, file_format: str) -> dict[str, Any]:
        marked = _BOX in payload and _LABEL in payload
        if not marked or not self._installed:
            return {"present": marked, "checked": self._installed}
        found = self._read(payload, file_format)
        if self._anchors is None:
            found = found | {"trusted": None}
        return {name: value for name, value in found.items() if value is not None}

    def _read(self, payload: bytes, file_format: str) -> dict[str, Any]:
        if not self._lock.acquire(timeout=_PATIENCE_S):
            return _FAILED
        try:
            reader = self._started()
            timer = threading.Timer(_PATIENCE_S, reader.kill)
            timer.start()
            try:
                write_message(_pipe(reader.stdin), {"format": file_format}, payload)
                found, _ = read_message(_pipe(reader.stdout))
            finally:
                timer.cancel()
        except (OSError, EOFError, ValueError) as error:
            _log.warning("content credentials could not be read", extra={"error": type(error).__name__})
            self._end()
            return _FAILED
        finally:
            self._lock.release()
        return found

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._reader is None or self._reader.poll() is not None:
            self._end()
            command = [sys.executable, "-m", "service.provenance.credentials"]
            self._reader = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the service
            )
            anchors = (self._anchors or "").encode()
            write_message(_pipe(self._reader.stdin), {"trusts": bool(anchors)}, anchors)
        return self._reader

    def _end(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it was asked for
    return stream
