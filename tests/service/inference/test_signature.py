"""Signatures of model files."""

import base64
import json
import random
from pathlib import Path

import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions, ModelSource
from service.inference.model_file import ModelFileError


class Signer:
    """A key pair, and what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        self.private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        self.public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))

    def sign(self, path: Path) -> Path:
        from model_signing import signing

        signature = path.with_name(path.name + ".sig")
        signing.Config().use_elliptic_key_signer(private_key=self.private).sign(path, signature)
        return signature


def test_the_signature_that_is_asked_for_must_hold(make_model, make_spec, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model())
    signer, stranger = Signer(tmp_path, "ours"), Signer(tmp_path, "theirs")
    with pytest.raises(ModelFileError, match=r"model.onnx.sig' does not exist or is not a file"):
        Engine.load(ModelSource(path, public_key=signer.public), EngineOptions("cpu", 1))
    signature = signer.sign(path)
    assert Engine.load(ModelSource(path, public_key=signer.public), EngineOptions("cpu", 1)).spec.name == "tiny"
    with pytest.raises(ModelFileError, match=r"model.onnx.sig' is not valid"):
        Engine.load(ModelSource(path, public_key=stranger.public), EngineOptions("cpu", 1))
    with pytest.raises(ModelFileError, match=r"absent.pub' does not exist or is not a file"):
        Engine.load(ModelSource(path, public_key=tmp_path / "absent.pub"), EngineOptions("cpu", 1))
    whole = signature.read_bytes()
    tampered = json.loads(whole)
    statement = base64.b64decode(tampered["dsseEnvelope"]["payload"]).replace(b"sha256", b"sha512")
    tampered["dsseEnvelope"]["payload"] = base64.b64encode(statement).decode()
    for broken in (whole[: len(whole) // 2], b"", random.Random(0).randbytes(500), json.dumps(tampered).encode()):
        signature.write_bytes(broken)
        with pytest.raises(ModelFileError, match=r"model.onnx.sig' is not valid"):
            Engine.load(ModelSource(path, public_key=signer.public), EngineOptions("cpu", 1))
    signature.write_bytes(whole)
    path.write_bytes(make_model(make_spec(threshold_fake=0.5)))  # the thresholds alone were tampered with
    with pytest.raises(ModelFileError, match=r"model.onnx.sig' is not valid"):
        Engine.load(ModelSource(path, public_key=signer.public), EngineOptions("cpu", 1))
