"""Cancellation of work whose client has disconnected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from service.errors import RequestError


@asynccontextmanager
async def until_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel the body of the ``async with`` once the client disconnects; the request body must have been read.

    Works like :func:`asyncio.timeout`, with a disconnect in place of a deadline.

    Raises:
        RequestError: the client disconnected.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - endpoints run in tasks
    cancelling, disconnected = task.cancelling(), False

    async def watch() -> None:
        nonlocal disconnected
        while (await request.receive())["type"] != "http.disconnect":
            pass
        disconnected = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if disconnected and task.cancelling() <= cancelling + 1:
            raise RequestError("client_disconnected", "the client closed the connection before the response") from None
        raise
    finally:
        watcher.cancel()
        if disconnected:
            task.uncancel()
