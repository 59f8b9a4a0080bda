"""Single: the one picture that a request carries, from its body to its score."""

import asyncio
from typing import Any

from starlette.requests import Request

from service.api.form import FIELD
from service.api.upload import read_picture
from service.errors import RequestError
from service.inference.job import Ticket
from service.inference.scorer import Scored, Scorer
from service.lifecycle.state import State

_BINARY = {"type": "string", "format": "binary"}


def file_body(kind: str) -> dict[str, Any]:
    """Return the OpenAPI of a body that is one file, of a media type ``kind/*``."""
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}
    content = {"multipart/form-data": {"schema": form}, f"{kind}/*": {"schema": _BINARY}}
    return {"requestBody": {"required": True, "content": content}}


PICTURE_BODY = file_body("image")


async def scored_for(request: Request, state: State, scorer: Scorer, payload: bytes) -> Scored:
    """Score the one picture of a request, as long as its client waits, and count it.

    Raises:
        ImageError, InferenceError, RequestError: as :meth:`service.inference.scorer.Scorer.score`.
    """
    ticket = scorer.submit(payload)
    del payload
    state.count_queue(scorer)
    departure = asyncio.create_task(_refuse_on_departure(request, ticket))
    try:
        scored = await scorer.score(ticket)
    finally:
        departure.cancel()
    state.record(scored)
    return scored


async def read_payload(request: Request, state: State) -> bytes:
    """Return the bytes of the one picture that a request carries.

    Raises:
        RequestError: as :func:`service.api.upload.read_picture`.
    """
    settings = state.settings
    return await read_picture(request, settings.max_bytes, settings.body_timeout_s, state.arrivals)


async def _refuse_on_departure(request: Request, ticket: Ticket) -> None:
    """Wait for the client to close the connection, and let nobody work for it any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.refuse(RequestError("client_disconnected", "the client left before its answer"))
