"""Targets: each takes any bytes, and raises where the service would have failed."""

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from uvicorn.server import ServerState

from service.api.upload import read_picture, read_pictures
from service.api.v2.endpoints import read_request
from service.contract.image.decode import decode
from service.contract.image.exif import camera
from service.contract.image.image_errors import ImageError, Limits
from service.errors import ERROR_CODES, RequestError
from service.lifecycle.body_budget import BodyBudget, BodyLimits
from service.server.http_protocol import http_protocol
from service.server.websocket_protocol import websocket_protocol
from tests.conftest import REPOSITORY
from tests.serving import PATIENCE

CORPUS = Path(__file__).parent / "corpus"
_FAILED: list[dict[str, Any]] = []
_LIMITS = Limits(max_bytes=1 << 20, max_pixels=1 << 20, min_side=8)


def pictures(data: bytes) -> None:
    """Any bytes are a picture or are refused as one, and EXIF of some camera or none."""
    for said in camera(data).values():
        assert said.isascii()
        assert len(said) <= 64
    try:
        decoded = decode(data, _LIMITS, "apply")
    except ImageError as refused:
        _check_code(refused.code)
        return
    assert decoded.rgb.mode == "RGB"
    assert decoded.rgb.size == (decoded.width, decoded.height)
    assert decoded.width * decoded.height <= _LIMITS.max_pixels


def forms(data: bytes) -> None:
    """Any Content-Type, and any body in any pieces, are one picture or are refused.

    The first line is the Content-Type, the next byte how long the pieces are.
    """
    head, _, rest = data.partition(b"\n")
    size, body = (rest[0] or 256, rest[1:]) if rest else (256, b"")

    def request() -> Request:
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", head)], "path": "/"}
        return Request(scope | {"query_string": b""}, receive)

    limits = BodyLimits(1 << 16, 10, BodyBudget(1 << 20))
    single = read_picture(request(), limits)
    several = read_pictures(request(), 3, limits)
    for reading in (single, several):
        try:
            result = asyncio.run(reading)
        except RequestError as refused:
            _check_code(refused.code)
            continue
        for payload in [result] if isinstance(result, bytes) else [upload.payload for upload in result]:
            assert len(payload) <= 1 << 17
            assert payload in body or size < len(body)
    assert len(limits.budget) == 0


def tensors(data: bytes) -> None:
    """Any inference request is pictures of the size that it says, or refused. The first line is the header's length."""
    length, _, body = data.partition(b"\n")
    try:
        _, payloads = read_request(body, length.decode("latin-1") or None, _settings())
    except RequestError as refused:
        _check_code(refused.code)
        return
    assert 1 <= len(payloads) <= 3
    for payload in payloads:
        assert isinstance(payload, bytes) or (payload.dtype == "uint8" and payload.ndim == 3)


@functools.cache
def _settings() -> Any:
    from service.settings import Settings

    return Settings(max_files=3)


def _check_code(code: str) -> None:
    assert code in ERROR_CODES


class _Transport(asyncio.Transport):
    """A client that takes everything."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = bytearray()
        self.closed = False
        self.protocol: Any = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


@functools.cache
def _application() -> Any:
    """Return the service around a model that says the same of every picture."""
    from service.app import create_app
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions
    from service.settings import Settings

    class Constant(Engine):
        def logits(self, images: Any) -> Any:
            import numpy as np

            return np.zeros((len(images), 2), np.float32)

    model = REPOSITORY / "models" / "dilated-cnn-128" / "0.1.0" / "model.onnx"
    loaded = Engine.load(model, EngineOptions("cpu", 1))
    engine = Constant(loaded.spec, loaded.sha256, loaded.provider, 1, loaded._session)
    return create_app(Settings(faces="off", log_level="error", decode_threads=1), engine)


@functools.cache
def _loop() -> tuple[asyncio.AbstractEventLoop, dict[str, Any]]:
    """Start the application once; it runs until the process ends."""
    loop, app = asyncio.new_event_loop(), _application()
    loop.set_exception_handler(lambda _, context: _FAILED.append(context))  # of timers and the like
    return loop, dict(loop.run_until_complete(app.router.lifespan_context(app).__aenter__()))


def requests(data: bytes) -> None:
    """Any bytes on a connection are answered by status codes below 500, in whole answers, or closed."""
    loop, shared = _loop()
    loop.run_until_complete(_requests(data, shared))


async def _requests(data: bytes, shared: dict[str, Any]) -> None:
    ws: Any = websocket_protocol(5.0)
    config = uvicorn.Config(_application(), log_config=None, access_log=False, ws=ws, ws_max_size=1 << 20)
    config.load()
    state, transport = ServerState(), _Transport()
    made = http_protocol(10, 5.0)(config=config, server_state=state, app_state=shared)
    made.connection_made(transport)
    transport.protocol = made
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        if not transport.closed:
            transport.protocol.data_received(piece)
            await asyncio.sleep(0)
    upgraded = transport.protocol is not made
    if state.tasks and (upgraded or not made._in_message):  # a body that never ends is the client's business
        await asyncio.wait(state.tasks, timeout=0.02 if upgraded else PATIENCE)  # and so is a camera's next frame
    transport.protocol.eof_received()
    transport.protocol.connection_lost(None)
    if state.tasks:
        _, left = await asyncio.wait(state.tasks, timeout=PATIENCE)
        assert not left
    assert not _FAILED, _FAILED
    _check_answers(bytes(transport.written))


def _check_answers(written: bytes) -> None:
    for answer in written.split(b"HTTP/1.1 ")[1:]:
        status = int(answer[:3])
        assert status < 500 or status == 503, answer[:200]
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"application/problem+json" in head and body:
            assert json.loads(body)["code"] in ERROR_CODES


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pictures": pictures,
    "forms": forms,
    "requests": requests,
    "tensors": tensors,
}
