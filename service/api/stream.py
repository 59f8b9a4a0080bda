"""``WS /stream``: frames of a camera in, the verdict on the newest one out, as often as there is time for one.

Nothing queues up: of the frames that come while one is scored the newest is kept and the others are dropped, and as
long as a client does not take its answers none is scored. Every answer names the frame that it is of.
"""

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from service.api.responses import refusal, timed_prediction
from service.api.upload import check_payload
from service.errors import RequestError, problem_details, refuse
from service.lifecycle.state import State, state_of

router = APIRouter()
_log = logging.getLogger(__name__)
# Close codes (RFC 6455, 7.4.1): the service goes away; nothing came for too long, or the key is no longer known.
_GOING_AWAY, _POLICY = 1001, 1008
_LOOK_S = 0.5


@dataclass(slots=True)
class Newest:
    """The newest frame that nobody has looked at yet, and how many went by.

    Attributes:
        payload: of the frame; None where there is none.
        number: of the frame, counted from 0 as they came.
        received: frames that came.
        dropped: of these, that were never looked at.
    """

    payload: bytes | None = None
    number: int = 0
    received: int = 0
    dropped: int = 0

    def put(self, payload: bytes) -> None:
        """Take a frame, in place of one that is waiting."""
        self.dropped += self.payload is not None
        self.payload, self.number = payload, self.received
        self.received += 1

    def take(self) -> tuple[int, bytes]:
        """Return the frame's number, and the frame."""
        payload = self.payload
        assert payload is not None  # noqa: S101 - whoever takes it was told that it is there
        self.payload = None
        return self.number, payload


@router.websocket("/stream")
async def stream(socket: WebSocket) -> None:
    """Answer frames until the client leaves, falls silent, or the service stops."""
    state = state_of(socket)
    try:
        state.ready_scorer()
        with state.streams.take():
            await socket.accept(subprotocol=_chosen(socket))
            newest = Newest()
            began = time.perf_counter()
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it may leave while it is answered
                await _answer_all(socket, state, newest)
            spent = round(time.perf_counter() - began, 3)
            said = {"frames": newest.received, "dropped": newest.dropped, "seconds": spent}
            _log.info("stream ended", extra={"request_id": socket.scope["request_id"], **said})
    except RequestError as error:
        await socket.send_denial_response(refuse(socket.scope, error.code, error.detail, error.headers))


def _anybody() -> bool:
    return True


def _chosen(socket: WebSocket) -> str | None:
    """Return the subprotocol to answer with: a browser that carries its key in one expects another back."""
    return "faces" if "faces" in socket.scope.get("subprotocols", ()) else None


async def _answer_all(socket: WebSocket, state: State, newest: Newest) -> None:
    came = asyncio.Event()
    receiving = asyncio.create_task(_receive(socket, newest, came, state))
    try:
        while not state.draining:
            waiting = asyncio.create_task(came.wait())
            try:
                await asyncio.wait({waiting, receiving}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if receiving.done():
                return receiving.result()
            if not socket.scope.get("is_let_in", _anybody)():
                return await socket.close(_POLICY, "the API key is no longer known here")
            if came.is_set():
                came.clear()
                number, payload = newest.take()
                said = await _verdict(socket, state, payload)
                answer = {"frame": number, "dropped": newest.dropped, **said}
                await socket.send_text(json.dumps(answer, separators=(",", ":"), allow_nan=False))
        await socket.close(_GOING_AWAY, "the service is shutting down")
    finally:
        receiving.cancel()


async def _receive(socket: WebSocket, newest: Newest, came: asyncio.Event, state: State) -> None:
    """Keep the newest frame, until the client leaves or falls silent."""
    idle_s = state.settings.stream_idle_s
    frames = state.metrics.stream_frames
    while True:
        try:
            async with asyncio.timeout(idle_s):
                message = await socket.receive()
        except TimeoutError:
            await socket.close(_POLICY, f"no frame came within the limit of {idle_s:g} s")
            return
        if message["type"] != "websocket.receive":
            return
        before = newest.dropped
        newest.put(message.get("bytes") or (message.get("text") or "").encode())
        frames.labels("received").inc()
        frames.labels("dropped").inc(newest.dropped - before)
        came.set()


async def _verdict(socket: WebSocket, state: State, payload: bytes) -> dict[str, Any]:
    """Return the prediction, or the problem, of one frame."""
    request_id = socket.scope["request_id"]
    try:
        with state.admit() as admitted:  # each frame by the model of its time
            check_payload(payload, state.settings.max_bytes)
            scored = await admitted.score(admitted.submit(payload), count_verdict=False)
    except Exception as error:  # each frame fails by itself
        code, detail = refusal(error, request_id=request_id)
        state.metrics.refusals.labels(code).inc()
        return {"problem": problem_details(code, detail, request_id)}
    return {"prediction": timed_prediction(scored, admitted.scorer)}
