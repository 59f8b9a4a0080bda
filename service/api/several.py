"""Several: the pictures of one request, scored side by side without taking the queue from others."""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request

from service.api.disconnect import while_connected
from service.inference.job import Payload
from service.inference.scorer import Scored, Scorer


async def score_all(
    request: Request, scorer: Scorer, payloads: Sequence[Payload | Exception]
) -> list[Scored | Exception]:
    """Return each picture's answer, or what it failed with, in order.

    As many as there are decode threads are in the queue at once; the others wait outside.

    Args:
        request: whose client is waiting; if it leaves, the rest of the work is dropped.
        scorer: admitted with.
        payloads: a picture each, or why it is none.

    Raises:
        RequestError: the client left.
    """
    return await while_connected(request, _scored(scorer, payloads))


async def _scored(scorer: Scorer, payloads: Sequence[Payload | Exception]) -> list[Scored | Exception]:
    places, since = asyncio.Semaphore(scorer.decode_threads), asyncio.get_running_loop().time()

    async def one(payload: Payload | Exception) -> Scored | Exception:
        if isinstance(payload, Exception):
            return payload
        async with places:
            try:
                return await scorer.score(await scorer.submit_when_room(payload, since))
            except Exception as error:  # each picture fails by itself
                return error

    return await asyncio.gather(*(one(payload) for payload in payloads))
