"""Departure: work that ends when the client who waits for it leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from service.errors import RequestError

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what some work returns, as long as the client waits; its body has been read.

    Raises:
        RequestError: the client left, and the work was dropped.
        Exception: what the work raises.
    """
    doing = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_departure(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise RequestError("client_disconnected", "the client left before its answer")
        return doing.result()
    finally:
        leaving.cancel()
        doing.cancel()


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
