"""The points of a callback lie where their names say, and its twin is the same to the byte."""

import asyncio
from collections.abc import Iterator

import pytest

from routing.delivery.worker import DeliveryWorker
from shared import failpoints
from shared.failpoints import VARIABLE, FailpointHit
from shared.testing.builders import make_cleared, make_facts


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


async def test_claimed_callback_is_not_sent_yet_and_comes_again_when_its_lease_ends(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    await routing.feed(make_cleared(facts=make_facts(company_domain=None)))
    failpoints.arm({VARIABLE: "callback_claimed=fail"})
    async with asyncio.timeout(20):
        with pytest.raises(FailpointHit):
            await DeliveryWorker(routing.runtime).run()
    assert crm.deliveries == []
    [row] = await routing.fetch("SELECT state, attempts FROM callback")
    assert (row["state"], row["attempts"]) == ("pending", 1)
    routing.clock.advance(minutes=2)
    async with kit.delivering(routing):
        await crm.received(1)


async def test_answered_callback_is_not_recorded_yet_and_its_twin_is_the_same(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    await routing.feed(make_cleared(facts=make_facts(company_domain=None)))
    failpoints.arm({VARIABLE: "callback_sent=fail"})
    async with kit.delivering(routing):
        await crm.received(1)
    [row] = await routing.fetch("SELECT state, last_outcome FROM callback")
    assert (row["state"], row["last_outcome"]) == ("pending", None)
    routing.clock.advance(minutes=2)
    async with kit.delivering(routing):
        first, second = await crm.received(2)
    assert (first.id, first.body) == (second.id, second.body)
    [row] = await routing.fetch("SELECT state, last_outcome FROM callback")
    assert (row["state"], row["last_outcome"]) == ("delivered", "delivered")
