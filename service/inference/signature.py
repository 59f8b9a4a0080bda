"""Verify the signature of a model file (OpenSSF Model Signing, key mode)."""

import tempfile
from pathlib import Path
from typing import Final

from service.inference.model_file import ModelFileError

SUFFIX: Final = ".sig"


def check_signature(content: bytes, path: Path, public_key: Path) -> None:
    """Verify a model file against the signature beside it, whose name is the file's name plus ``.sig``.

    Args:
        content: bytes that were read and will be served.
        path: path of the model file.
        public_key: path of an elliptic-curve public key, PEM.

    Raises:
        ModelFileError: the signature is missing, by another key or for other bytes, or the extra ``signing`` is not
            installed.
    """
    try:
        from model_signing import verifying
    except ImportError:
        raise ModelFileError("the signature cannot be checked: the extra 'signing' is not installed") from None
    signature = path.with_name(path.name + SUFFIX)
    for file in (signature, public_key):
        if not file.is_file():
            raise ModelFileError(f"the signature cannot be checked: '{file}' does not exist or is not a file")
    try:
        # Verify the bytes that were read: the file may have been replaced since.
        with tempfile.TemporaryDirectory(prefix="service-") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(content)
            verifier = verifying.Config()  # type: ignore[no-untyped-call]
            verifier.use_elliptic_key_verifier(public_key=public_key).verify(copy, signature)
    except Exception as error:  # the library and its dependencies raise many types
        raise ModelFileError(f"the signature '{signature}' is not valid: {error}") from None
