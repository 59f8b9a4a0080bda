"""Read the provenance that a file declares, Content Credentials through a reader process."""

import logging
import subprocess
import threading
from typing import Any, Final, TypeVar

from service.contract.image.decode import DecodedImage
from service.contract.image.exif import camera
from service.provenance import c2pa_reader
from service.sandbox.confinement import command, environment, null_descriptor
from service.sandbox.messages import read_message, write_message

_log = logging.getLogger(__name__)
# For one picture, including the start of the process.
_READ_TIMEOUT_S: Final = 3.0
# Wait for the reader while it handles other pictures, one at a time.
_LOCK_TIMEOUT_S: Final = 0.5
# Every file with a manifest contains a JUMBF box and the label of its store (ISO 19566-5, C2PA 2.2, 11.1).
_BOX, _LABEL = b"jumb", b"c2pa"
_READER_FAILED: Final[dict[str, Any]] = {"present": True, "checked": False, "problems": ["reader_failed"]}


class Provenance:
    """Reader of the provenance that files declare. Thread-safe.

    Only files that contain the markers of a manifest are read for Content Credentials. The reader process starts with
    the first of them and restarts after a crash.

    Args:
        anchors: trust anchors for issuers, PEM; None: trust is not evaluated.
    """

    def __init__(self, anchors: str | None = None) -> None:
        self._anchors = anchors
        self._installed = c2pa_reader.available()
        self._lock = threading.Lock()
        self._reader: subprocess.Popen[bytes] | None = None

    def of(self, payload: bytes, image: DecodedImage) -> dict[str, Any]:
        """Return the provenance of a picture, with the fields of :class:`service.api.schemas.Provenance`.

        Args:
            payload: bytes of the picture.
            image: the decoded picture.
        """
        provenance = {"content_credentials": self._credentials(payload, image.format)}
        return provenance | ({"camera": camera_fields} if (camera_fields := camera(image.exif)) else {})

    def of_container(self, payload: bytes, container: str) -> dict[str, Any]:
        """Return the provenance of a video file, without a camera.

        Args:
            payload: bytes of the file.
            container: container format of the file.
        """
        return {"content_credentials": self._credentials(payload, container)}

    def close(self) -> None:
        """Kill the reader process."""
        if (reader := self._reader) is not None:
            reader.kill()  # a pending read fails and reports it
        if self._lock.acquire(timeout=_LOCK_TIMEOUT_S):
            self._kill_reader()
            self._lock.release()

    def _credentials(self, payload: bytes, file_format: str) -> dict[str, Any]:
        has_manifest = _BOX in payload and _LABEL in payload
        supported = self._installed and file_format in c2pa_reader.MIMES
        if not has_manifest or not supported:
            return {"present": has_manifest, "checked": supported}
        credentials = self._read(payload, file_format)
        if self._anchors is None:
            credentials = credentials | {"trusted": None}
        return {name: value for name, value in credentials.items() if value is not None}

    def _read(self, payload: bytes, file_format: str) -> dict[str, Any]:
        if not self._lock.acquire(timeout=_LOCK_TIMEOUT_S):  # a reader that hangs must not block other requests
            return _READER_FAILED
        try:
            fresh = self._reader is None or self._reader.poll() is not None
            reader = self._start_reader() if fresh else _require(self._reader)
            timer = threading.Timer(_READ_TIMEOUT_S, reader.kill)
            timer.daemon = True
            timer.start()
            try:
                if fresh:
                    anchors = (self._anchors or "").encode()
                    write_message(_require(reader.stdin), {"trusts": bool(anchors)}, anchors)
                write_message(_require(reader.stdin), {"format": file_format}, payload)
                credentials, _ = read_message(_require(reader.stdout))
            finally:
                timer.cancel()
        except (OSError, EOFError, ValueError) as error:
            _log.warning("content credentials could not be read", extra={"error": type(error).__name__})
            self._kill_reader()
            return _READER_FAILED
        finally:
            self._lock.release()
        return credentials

    def _start_reader(self) -> "subprocess.Popen[bytes]":
        self._kill_reader()
        with null_descriptor() as stderr:
            self._reader = subprocess.Popen(
                command("service.provenance.c2pa_reader"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(),
                start_new_session=True,  # Ctrl-C must reach only the service
            )
        return self._reader

    def _kill_reader(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None


T = TypeVar("T")


def _require(value: T | None) -> T:
    assert value is not None  # noqa: S101 - the process was started with pipes
    return value
