"""The budget for request bodies: who is evicted, who is refused, and that nothing stays counted."""

import asyncio

import pytest

from service.errors import RequestError
from service.lifecycle.body_budget import BodyBudget
from tests.serving import PATIENCE


def test_make_room_evicts_the_costliest_body():
    """The body that holds most for longest gives way; a newcomer with a small body does not."""

    async def scene() -> tuple[bool, bool, int]:
        budget = BodyBudget(100)
        async with asyncio.timeout(PATIENCE) as slow_deadline, asyncio.timeout(PATIENCE) as new_deadline:
            with budget.receive(slow_deadline) as slow:
                slow.add(90)
                await asyncio.sleep(0.01)
                with budget.receive(new_deadline) as new:
                    new.add(20)
                    evicted = slow.evicted, new.evicted
                    slow_deadline.reschedule(None)
        return *evicted, len(budget)

    assert asyncio.run(scene()) == (True, False, 0)


def test_add_to_costliest_body_is_overloaded():
    """A body that is itself the costliest is refused, because evicting others would not help."""

    async def scene() -> None:
        budget = BodyBudget(100)
        async with asyncio.timeout(PATIENCE) as deadline:
            with budget.receive(deadline) as body:
                with pytest.raises(RequestError) as refused:
                    body.add(101)
                assert refused.value.code == "overloaded"

    asyncio.run(scene())


def test_hold_beyond_its_share_is_overloaded():
    """Complete bodies may hold half of the budget, so that others can still arrive."""
    budget = BodyBudget(100)
    with budget.hold(50), pytest.raises(RequestError) as refused, budget.hold(1):
        pass
    assert "50 bytes of the limit of 50" in refused.value.detail
    with budget.hold(50):
        pass


class Expired:
    """A deadline that has fired, and whose task has not been told yet."""

    def expired(self) -> bool:
        return True

    def reschedule(self, _: float) -> None:
        raise RuntimeError("Cannot change state of expiring Timeout")


def test_eviction_at_the_timeout_harms_no_second_body():
    """Found in review: the other client got a 500."""

    async def scene() -> None:
        budget = BodyBudget(100)
        with budget.receive(Expired()) as heavy:
            heavy.add(90)
            await asyncio.sleep(0.01)
            with budget.receive(Expired()) as good:
                good.add(90)
            with pytest.raises(TimeoutError):
                heavy.add(1)
        assert len(budget) == 0

    asyncio.run(scene())


def test_held_bodies_are_bounded_until_scored():
    async def run() -> None:
        budget = BodyBudget(100)
        with budget.hold(30), budget.hold(20):
            with pytest.raises(RequestError, match="hold 50 bytes of the limit of 50") as caught, budget.hold(1):
                pass
            assert caught.value.headers == {"Retry-After": "1"}
            async with asyncio.timeout(PATIENCE) as deadline:
                with budget.receive(deadline) as arrival:
                    arrival.add(50)
                    with pytest.raises(RequestError, match="100 bytes of the limit of 100"):
                        arrival.add(1)
        with budget.hold(50):
            pass

    asyncio.run(run())
