"""Work ends with its client, and no other cancellation is taken for a disconnect."""

import asyncio

import pytest

from service.api.disconnect import until_disconnect
from service.errors import RequestError


class Client:
    """A request whose client disconnects when told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.left.wait()
        return {"type": "http.disconnect"}


def test_disconnect_cancels_the_body_as_request_error():
    """The work is cancelled where it waits, and the request ends as client_disconnected."""

    async def work(client: Client, seen: list[str]) -> None:
        async with until_disconnect(client):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    async def scene() -> list[str]:
        client, seen = Client(), []
        client.left.set()
        with pytest.raises(RequestError) as ended:
            await work(client, seen)
        await asyncio.sleep(0)  # nothing is left to cancel this task
        assert asyncio.current_task().cancelling() == 0
        return [*seen, ended.value.code]

    assert asyncio.run(scene()) == ["cancelled", "client_disconnected"]


def test_connected_client_gets_the_result():
    """Work that ends first is not disturbed, and the watcher goes with it."""

    async def scene() -> int:
        async with until_disconnect(Client()):
            result = 42
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        return result

    assert asyncio.run(scene()) == 42


def test_cancellation_from_outside_stays_a_cancellation():
    """A server that stops cancels the request; that is no disconnect."""

    async def work() -> None:
        async with until_disconnect(Client()):
            await asyncio.sleep(30)

    async def scene() -> bool:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(scene())


def test_cancellation_beside_a_disconnect_stays_a_cancellation():
    """A server that stops while the client leaves cancels the request."""

    async def work(client: Client, started: asyncio.Event) -> None:
        async with until_disconnect(client):
            started.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                asyncio.current_task().cancel()  # before the block has ended
                raise

    async def scene() -> bool:
        client, started = Client(), asyncio.Event()
        task = asyncio.create_task(work(client, started))
        await started.wait()
        client.left.set()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(scene())


def test_error_of_the_work_passes_through():
    """What the work raises is not hidden by the watcher."""

    async def scene() -> None:
        async with until_disconnect(Client()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())
