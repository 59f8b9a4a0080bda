"""Signature: a model file that somebody has signed with a key (OpenSSF Model Signing, key mode)."""

import tempfile
from pathlib import Path
from typing import Final

from service.inference.model_file import ModelFileError

SUFFIX: Final = ".sig"


def check_signature(content: bytes, path: Path, public_key: Path) -> None:
    """Hold a model file against the signature that lies beside it, under the same name and ``.sig``.

    Args:
        content: the bytes that have been read, and will be served.
        path: where from.
        public_key: an elliptic-curve key, PEM.

    Raises:
        ModelFileError: there is no signature, another key made it, or it is of other bytes; or the extra ``signing``
            is not installed.
    """
    try:
        from model_signing import verifying
    except ImportError:
        raise ModelFileError("its signature cannot be checked: the extra 'signing' is not installed") from None
    signature = path.with_name(path.name + SUFFIX)
    for file in (signature, public_key):
        if not file.is_file():
            raise ModelFileError(f"its signature cannot be checked: '{file}' is no file")
    try:
        # Of these very bytes: the file itself may be another by now.
        with tempfile.TemporaryDirectory(prefix="service-") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(content)
            verifier = verifying.Config()  # type: ignore[no-untyped-call]
            verifier.use_elliptic_key_verifier(public_key=public_key).verify(copy, signature)
    except Exception as error:  # the library and those under it raise whatever they meet
        raise ModelFileError(f"its signature '{signature}' does not hold: {error}") from None
