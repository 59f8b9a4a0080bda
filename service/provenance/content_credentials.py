"""Facts: what one picture's file says of where it comes from."""

import logging
import subprocess
import threading
from typing import Any, Final, TypeVar

from service.contract.image.decode import DecodedImage
from service.contract.image.exif import camera
from service.provenance import c2pa_reader
from service.sandbox.confinement import command, environment, nowhere
from service.sandbox.messages import read_message, write_message

_log = logging.getLogger(__name__)
# For one picture; the start of the process is in it now and then.
_PATIENCE_S: Final = 3.0
# For others' pictures to be done, one after the other.
_TURN_S: Final = 0.5
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
        self._installed = c2pa_reader.available()
        self._lock = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None

    def of(self, payload: bytes, image: DecodedImage) -> dict[str, Any]:
        """Return what :class:`service.api.schemas.Provenance` describes.

        Args:
            payload: of the picture.
            image: as decoded from it.
        """
        found = {"content_credentials": self._credentials(payload, image.format)}
        return found | ({"camera": said} if (said := camera(image.exif)) else {})

    def of_container(self, payload: bytes, container: str) -> dict[str, Any]:
        """Return the same of a file of another kind, without a camera.

        Args:
            payload: of the file.
            container: what it is.
        """
        return {"content_credentials": self._credentials(payload, container)}

    def close(self) -> None:
        """End the process, whatever it is at."""
        if (reader := self._reader) is not None:
            reader.kill()  # whoever waits for it is told so
        if self._lock.acquire(timeout=_TURN_S):
            self._end()
            self._lock.release()

    def _credentials(self, payload: bytes, file_format: str) -> dict[str, Any]:
        marked = _BOX in payload and _LABEL in payload
        able = self._installed and file_format in c2pa_reader.MIMES
        if not marked or not able:
            return {"present": marked, "checked": able}
        found = self._read(payload, file_format)
        if self._anchors is None:
            found = found | {"trusted": None}
        return {name: value for name, value in found.items() if value is not None}

    def _read(self, payload: bytes, file_format: str) -> dict[str, Any]:
        if not self._lock.acquire(timeout=_TURN_S):  # nobody else is to wait for one that hangs
            return _FAILED
        try:
            fresh = self._reader is None or self._reader.poll() is not None
            reader = self._start() if fresh else _there(self._reader)
            timer = threading.Timer(_PATIENCE_S, reader.kill)
            timer.daemon = True
            timer.start()
            try:
                if fresh:
                    anchors = (self._anchors or "").encode()
                    write_message(_there(reader.stdin), {"trusts": bool(anchors)}, anchors)
                write_message(_there(reader.stdin), {"format": file_format}, payload)
                found, _ = read_message(_there(reader.stdout))
            finally:
                timer.cancel()
        except (OSError, EOFError, ValueError) as error:
            _log.warning("content credentials could not be read", extra={"error": type(error).__name__})
            self._end()
            return _FAILED
        finally:
            self._lock.release()
        return found

    def _start(self) -> "subprocess.Popen[bytes]":
        self._end()
        with nowhere() as silent:
            self._reader = subprocess.Popen(
                command("service.provenance.c2pa_reader"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=silent,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the service
            )
        return self._reader

    def _end(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None


T = TypeVar("T")


def _there(thing: T | None) -> T:
    assert thing is not None  # noqa: S101 - it was asked for
    return thing
