"""Seeds: the corpus that a search begins with. ``python -m tests.fuzz.seeds`` writes it anew."""

import base64
import hashlib
import io
import json

from PIL import Image

from tests.fuzz.targets import CORPUS
from tests.service.hostile.families import FAMILIES, forms

_UPGRADE = (
    b"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _message(opcode: int, payload: bytes) -> bytes:
    """Return one WebSocket message, masked by zeros (RFC 6455, 5.2)."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def seeds() -> dict[str, dict[str, bytes]]:
    """Return the corpus that a search begins with: a few small inputs of every kind."""
    picture = Image.radial_gradient("L").resize((40, 32)).convert("RGB")
    pictures = dict(forms(picture))
    for family in ("cut between scans", "several pictures", "modes", "lying headers"):
        pictures |= {
            f"{family} {case.name}": case.payload for case in FAMILIES[family](picture) if len(case.payload) < 8000
        }
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, "JPEG", exif=exif)
    pictures["turned.jpg"] = buffer.getvalue()
    jpeg = pictures["baseline.jpg"]
    part = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    whole = part + jpeg + b"\r\n--edge--\r\n"
    bodies = {
        "one part": b"multipart/form-data; boundary=edge\n\x00" + whole,
        "small pieces": b'multipart/form-data; boundary="edge"\n\x07' + whole,
        "two parts": b"multipart/form-data; boundary=edge\n\x00" + part + b"x\r\n" + whole,
        "raw": b"image/jpeg\n\x00" + jpeg,
        "cut": b"multipart/form-data; boundary=edge\n\x20" + whole[:200],
        "no boundary": b"multipart/form-data\n\x00" + whole,
        "encoded": b"multipart/form-data; boundary*=utf-8''ed%67e\n\x00" + whole,
        "other": b"text/plain\n\x00abc",
    }
    head = b"POST /predict?a=1&b=%C3%A9 HTTP/1.1\r\nHost: x\r\n"
    wire = {
        "raw": head + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg,
        "form": head
        + b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n" % len(whole)
        + whole,
        "chunks": head
        + b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(jpeg), jpeg),
        "pipelined": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /model HTTP/1.0\r\n\r\n",
        "expect": head + b"Expect: 100-continue\r\nContent-Type: image/webp\r\nContent-Length: 4\r\n\r\nRIFF",
        "absolute": b"GET http://x:1/readyz?#f HTTP/1.1\r\nHost: x\r\nX-Request-ID: a b\r\nConnection: close\r\n\r\n",
        "options": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "camera": _UPGRADE
        + _message(2, jpeg)
        + _message(9, b"ping")
        + _message(2, b"GIF89a")
        + _message(8, b"\x03\xe8"),
        "camera elsewhere": _UPGRADE.replace(b"/stream", b"/predict"),
        "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    }
    encoded = base64.b64encode(jpeg).decode()
    element = len(jpeg).to_bytes(4, "little") + jpeg
    inference = {
        "file": _tensor("image", [1], "BYTES", [encoded]),
        "files": _tensor("image", [2, 1], "BYTES", [[encoded], [encoded]]),
        "numbers": _tensor("pixels", [1, 2, 2, 3], "UINT8", [[[[1, 2, 3]] * 2] * 2]),
        "binary file": _tensor("image", [1], "BYTES", None, element),
        "binary pixels": _tensor("pixels", [1, 2, 2, 3], "UINT8", None, bytes(12)),
        "wrong type": _tensor("pixels", [1, 2, 2, 3], "FP32", [0.5]),
        "wrong size": _tensor("pixels", [1, 9, 9, 3], "UINT8", None, bytes(12)),
    }
    return {"pictures": pictures, "forms": bodies, "requests": wire, "tensors": inference}


def _tensor(name: str, shape: list[int], datatype: str, data: object, binary: bytes = b"") -> bytes:
    tensor: dict[str, object] = {"name": name, "shape": shape, "datatype": datatype}
    tensor |= {"data": data} if data is not None else {"parameters": {"binary_data_size": len(binary)}}
    outputs = [{"name": "verdict", "parameters": {"binary_data": True}}, {"name": "prediction"}]
    text = json.dumps({"id": "x", "inputs": [tensor], "outputs": outputs}).encode()
    return b"%d\n%b%b" % (len(text), text, binary)


def write_corpus() -> None:
    """Write the corpus anew, named after its content, as fuzzers do."""
    for target, inputs in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for data in inputs.values():
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    write_corpus()
