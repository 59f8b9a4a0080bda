"""``WS /stream``: verdicts on the newest frame of a camera.

Frames do not queue up. While a frame is scored, only the newest arrival is kept and the rest are dropped. While a
client does not read its answers, no frame is scored. Every answer names its frame.
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
# Close codes (RFC 6455, 7.4.1): shutdown; idle timeout, or a key that is no longer valid.
_GOING_AWAY, _POLICY_VIOLATION = 1001, 1008
_POLL_INTERVAL_S = 0.5


@dataclass(slots=True)
class LatestFrame:
    """The newest frame that is not scored yet, and the frame counts.

    Attributes:
        payload: bytes of the frame; None if no frame is waiting.
        number: index of the frame, from 0, in order of arrival.
        received: number of frames received.
        dropped: number of these that were never scored.
    """

    payload: bytes | None = None
    number: int = 0
    received: int = 0
    dropped: int = 0

    def put(self, payload: bytes) -> None:
        """Store a frame; it replaces a waiting one."""
        self.dropped += self.payload is not None
        self.payload, self.number = payload, self.received
        self.received += 1

    def take(self) -> tuple[int, bytes]:
        """Return the number and the bytes of the waiting frame, and clear it."""
        payload = self.payload
        assert payload is not None  # noqa: S101 - the event is set only after put()
        self.payload = None
        return self.number, payload


@router.websocket("/stream")
async def stream(socket: WebSocket) -> None:
    """Score frames until the client disconnects or is idle for too long, or the service stops."""
    state = state_of(socket)
    try:
        state.ready_scorer()
        with state.streams.take():
            await socket.accept(subprotocol=_subprotocol(socket))
            newest = LatestFrame()
            started = time.perf_counter()
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client may disconnect during an answer
                await _answer_frames(socket, state, newest)
            duration_s = round(time.perf_counter() - started, 3)
            stats = {"frames": newest.received, "dropped": newest.dropped, "seconds": duration_s}
            _log.info("stream ended", extra={"request_id": socket.scope["request_id"], **stats})
    except RequestError as error:
        await socket.send_denial_response(refuse(socket.scope, error.code, error.detail, error.headers))


def _always_allowed() -> bool:
    return True


def _subprotocol(socket: WebSocket) -> str | None:
    """Return the subprotocol to select: a browser that sends its key as a subprotocol expects a different one back."""
    return "faces" if "faces" in socket.scope.get("subprotocols", ()) else None


async def _answer_frames(socket: WebSocket, state: State, newest: LatestFrame) -> None:
    arrived = asyncio.Event()
    receiver = asyncio.create_task(_receive_frames(socket, newest, arrived, state))
    try:
        while not state.draining:
            waiter = asyncio.create_task(arrived.wait())
            try:
                await asyncio.wait({waiter, receiver}, timeout=_POLL_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiter.cancel()
            if receiver.done():
                return receiver.result()
            if not socket.scope.get("is_let_in", _always_allowed)():
                return await socket.close(_POLICY_VIOLATION, "the API key is no longer valid")
            if arrived.is_set():
                arrived.clear()
                number, payload = newest.take()
                result = await _score_frame(socket, state, payload)
                answer = {"frame": number, "dropped": newest.dropped, **result}
                await socket.send_text(json.dumps(answer, separators=(",", ":"), allow_nan=False))
        await socket.close(_GOING_AWAY, "the service is shutting down")
    finally:
        receiver.cancel()


async def _receive_frames(socket: WebSocket, newest: LatestFrame, arrived: asyncio.Event, state: State) -> None:
    """Receive frames until the client disconnects or is idle for too long."""
    idle_s = state.settings.stream_idle_s
    frames = state.metrics.stream_frames
    while True:
        try:
            async with asyncio.timeout(idle_s):
                message = await socket.receive()
        except TimeoutError:
            await socket.close(_POLICY_VIOLATION, f"no frame received within the limit of {idle_s:g} s")
            return
        if message["type"] != "websocket.receive":
            return
        dropped_before = newest.dropped
        newest.put(message.get("bytes") or (message.get("text") or "").encode())
        frames.labels("received").inc()
        frames.labels("dropped").inc(newest.dropped - dropped_before)
        arrived.set()


async def _score_frame(socket: WebSocket, state: State, payload: bytes) -> dict[str, Any]:
    """Score one frame; return its prediction or its problem."""
    request_id = socket.scope["request_id"]
    try:
        with state.admit() as admitted:  # admitted per frame, so that a replaced model takes effect
            check_payload(payload, state.settings.max_bytes)
            scored = await admitted.score(admitted.submit(payload), count_verdict=False)
    except Exception as error:  # a frame that fails does not end the stream
        code, detail = refusal(error, request_id=request_id)
        state.metrics.refusals.labels(code).inc()
        return {"problem": problem_details(code, detail, request_id)}
    return {"prediction": timed_prediction(scored, admitted.scorer)}
