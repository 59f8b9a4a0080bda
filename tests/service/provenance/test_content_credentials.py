"""What a file says of where it comes from: Content Credentials and camera, beside the verdict and never in it."""

import datetime
import http.server
import io
import json
import os
import signal
import struct
import threading

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from service.api.schemas import Prediction
from service.app import load_app
from service.errors import StartError
from service.provenance import c2pa_reader, content_credentials
from service.settings import Settings
from tests.serving import PATIENCE

MIMES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PHOTO = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


def name(common: str, organisation: str) -> x509.Name:
    pairs = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs])


def usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, signs, signs, False, False)


class Issuer:
    """An organisation with a certificate authority of its own."""

    def __init__(self, organisation: str) -> None:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name = name("Root", organisation)

        def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, is_root: bool) -> x509.Certificate:
            made = (
                x509.CertificateBuilder(root_name, subject, public, x509.random_serial_number())
                .not_valid_before(now - day)
                .not_valid_after(now + 365 * day)
                .add_extension(x509.BasicConstraints(is_root, None), True)
                .add_extension(usage(is_root), True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
            )
            if not is_root:
                made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)
            return made.sign(root_key, hashes.SHA256())

        pem = serialization.Encoding.PEM
        self.root = certificate(root_name, root_key.public_key(), True).public_bytes(pem)
        leaf = certificate(name("Signer", organisation), key.public_key(), False).public_bytes(pem)
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._info = c2pa.C2paSignerInfo(b"es256", leaf + self.root, secret, None)

    def sign(self, payload: bytes, file_format: str, source: str = AI, elsewhere: str | None = None) -> bytes:
        actions = [{"action": "c2pa.created", "digitalSourceType": source}]
        assertion = {"label": "c2pa.actions.v2", "data": {"actions": actions}}
        manifest = {"claim_generator_info": [{"name": "test", "version": "1"}], "assertions": [assertion]}
        builder, signed = c2pa.Builder(json.dumps(manifest)), io.BytesIO()
        if elsewhere:
            builder.set_no_embed()
            builder.set_remote_url(elsewhere)
        builder.sign(c2pa.Signer.from_info(self._info), MIMES[file_format], io.BytesIO(payload), signed)
        return signed.getvalue()


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer("Example Pictures")


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    return astronaut.crop((120, 0, 320, 200))


@pytest.fixture(scope="module")
def signed(issuer, portrait, encode) -> bytes:
    return issuer.sign(encode(portrait), "JPEG")


def ask(client, payload: bytes) -> dict:
    response = client.post("/predict", files={"file": payload})
    assert response.status_code == 200, response.text
    Prediction.model_validate(response.json(), extra="forbid")
    return response.json()


def seal(client, payload: bytes) -> dict:
    return ask(client, payload)["provenance"]["content_credentials"]


@pytest.mark.parametrize("file_format", MIMES)
@pytest.mark.parametrize(("source", "declares"), [(AI, True), (PHOTO, False)])
def test_a_manifest_that_holds_says_who_and_what(client, issuer, portrait, encode, file_format, source, declares):
    plain = encode(portrait, file_format)
    answer = ask(client, issuer.sign(plain, file_format, source))
    credentials = answer["provenance"]["content_credentials"]
    assert (credentials["present"], credentials["checked"], credentials["valid"], "trusted" in credentials) == (
        True,
        True,
        True,
        False,
    )
    assert (credentials["issuer"], credentials["declares_ai"]) == ("Example Pictures", declares)
    assert credentials["digital_source_types"] == [source.rsplit("/", 1)[1]]
    assert credentials["generator"].startswith("test")
    assert credentials["problems"] == []
    alone = ask(client, plain)
    assert alone["provenance"]["content_credentials"]["present"] is False
    for said in ("verdict", "probabilities", "confidence", "reasons"):  # it has no say in them
        assert answer[said] == alone[said]


def test_one_that_was_made_for_other_bytes_does_not_hold(client, signed, portrait, encode):
    start = signed.index(b"\xff\xe1" if b"\xff\xe1" in signed[:20] else b"\xff\xeb")
    mirrored = encode(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    segments = bytearray()
    while signed[start : start + 2] == b"\xff\xeb":
        length = struct.unpack_from(">H", signed, start + 2)[0]
        segments += signed[start : start + 2 + length]
        start += 2 + length
    credentials = seal(client, mirrored[:2] + bytes(segments) + mirrored[2:])
    assert (credentials["present"], credentials["valid"], credentials["declares_ai"]) == (True, False, True)
    assert credentials["problems"] == ["assertion.dataHash.mismatch"]


def test_a_broken_manifest_costs_nobody_a_verdict(client, signed):
    """Bytes of the manifest changed all over: it never holds, it never crashes, and the verdict stays."""
    draw, verdicts, held = np.random.default_rng(0), set(), []
    first = signed.index(b"jumb")
    last = first + 10_000
    for _ in range(60):
        changed = bytearray(signed)
        for offset in draw.integers(first, last, 3):
            changed[offset] = draw.integers(256)
        answer = ask(client, bytes(changed))
        verdicts.add(json.dumps(answer["probabilities"]))
        credentials = answer["provenance"]["content_credentials"]
        held.append(credentials["valid"])
    assert len(verdicts) == 1
    assert not any(held)
    assert seal(client, signed)["valid"] is True


def test_trust_is_a_matter_of_whose_certificates_are_named(make_client, issuer, signed, tmp_path):
    for root, trusted in ((issuer.root, True), (Issuer("Somebody Else").root, False)):
        anchors = tmp_path / f"{trusted}.pem"
        anchors.write_bytes(root)
        credentials = seal(make_client(trust_anchors=anchors), signed)
        assert (credentials["valid"], credentials["trusted"]) == (True, trusted)


@pytest.mark.parametrize("content", [None, "no certificate", "\xe9"])
def test_certificates_that_cannot_be_used_prevent_the_start(make_model, tmp_path, content):
    model, anchors = tmp_path / "model.onnx", tmp_path / "anchors.pem"
    model.write_bytes(make_model())
    if content is not None:
        anchors.write_text(content, "latin-1")
    with pytest.raises(StartError, match=r"--trust-anchors \(SERVICE_TRUST_ANCHORS\)"):
        load_app(Settings(model=model, trust_anchors=anchors))


def test_nothing_is_fetched(client, issuer, portrait, encode):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        away = issuer.sign(encode(portrait), "JPEG", elsewhere=f"http://127.0.0.1:{server.server_port}/manifest.c2pa")
        assert b"manifest.c2pa" in away
        assert seal(client, away) == {"present": False, "checked": True}
        assert seal(client, away + b"jumb c2pa").get("valid") is not True
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def test_a_reader_that_dies_or_hangs_is_replaced(client, signed, monkeypatch):
    assert seal(client, signed)["valid"] is True
    provenance = client.app.state.service.provenance
    os.kill(provenance._reader.pid, signal.SIGKILL)
    provenance._reader.wait()
    assert seal(client, signed)["valid"] is True
    os.kill(provenance._reader.pid, signal.SIGSTOP)
    monkeypatch.setattr(content_credentials, "_READ_TIMEOUT_S", 0.3)
    credentials = seal(client, signed)
    assert (credentials["present"], credentials["checked"], credentials["problems"]) == (True, False, ["reader_failed"])
    monkeypatch.setattr(content_credentials, "_READ_TIMEOUT_S", PATIENCE)
    assert seal(client, signed)["valid"] is True


def test_without_the_extra_it_says_that_it_did_not_look(make_client, signed, monkeypatch):
    monkeypatch.setattr(c2pa_reader, "available", lambda: False)
    credentials = seal(make_client(), signed)
    assert credentials == {"present": True, "checked": False}


def test_it_can_be_switched_off(make_client, signed):
    assert "provenance" not in ask(make_client(provenance=False), signed)


def exif(**tags: object) -> Image.Exif:
    written = Image.Exif()
    written[0x010F], written[0x0110], written[0x0131] = "Example", "Camera One", "Firmware 1.0"
    inner = written.get_ifd(0x8769)
    inner[0x9003], inner[0xA434] = "2026:11:27 10:00:00", "50mm"
    written.get_ifd(0x8825)[1] = "N"  # where it was taken is nobody's business
    return written


@pytest.mark.parametrize("file_format", MIMES)
def test_the_camera_is_told_and_the_place_is_not(client, portrait, encode, file_format):
    answer = ask(client, encode(portrait, file_format, exif=exif()))
    assert answer["provenance"]["camera"] == {
        "make": "Example",
        "model": "Camera One",
        "software": "Firmware 1.0",
        "taken": "2026:11:27 10:00:00",
        "lens": "50mm",
    }
    assert "camera" not in ask(client, encode(portrait, file_format))["provenance"]
