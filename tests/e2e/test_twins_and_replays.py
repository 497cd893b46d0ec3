"""What comes twice, at the door or on a topic, in whatever order, has its effect once."""

import asyncio
from collections import Counter

import httpx
import pytest

from local_stack.load.senders import KINDS, Post

from .evidence import Evidence, collect, read_topics, settle, until
from .installation import NAMES, Installation
from .rewinding import find_lag, publish_again, rewind
from .traffic import Traffic, read_promises, seeded
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

COPIES = 6
WITH_AN_ID = tuple(kind for kind in KINDS if kind != "web_form")


async def settled(installation: Installation, traffic: Traffic) -> Evidence:
    return await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))


def effects(evidence: Evidence) -> dict[str, object]:
    """Return what must not change when something comes again."""
    return {
        "records": [tuple(row.values()) for row in evidence.records],
        "assignments": sorted(tuple(row.values()) for row in evidence.assignments),
        "callbacks": sorted((row["callback_id"], row["lead_id"]) for row in evidence.sent),
        "ids at the CRM": {one["id"] for one in evidence.received},
        "events": {event.id for event in evidence.events},
        "clocks": sorted((row["clock_id"], row["stage"]) for row in evidence.clocks),
        "ledger": evidence.counters,
    }


async def post_copies(traffic: Traffic, kind: str, delivery: Post) -> list[httpx.Response]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return await asyncio.gather(
            *(client.post(traffic.url(kind), content=delivery.body, headers=delivery.headers) for _ in range(COPIES))
        )


@pytest.mark.parametrize("kind", WITH_AN_ID)
async def test_delivery_that_comes_several_times_at_once_is_one_record(
    installation: Installation, traffic: Traffic, kind: str
) -> None:
    person = traffic.person("twin")
    answers = await post_copies(traffic, kind, traffic.delivery(kind, person))
    assert {answer.status_code for answer in answers} == {httpx.codes.OK}
    promises = [read_promises(answer, kind, person.email) for answer in answers]
    assert len({tuple(one) for one in promises}) == 1, "every answer names the same ids"
    assert Counter(answer.json().get("duplicate", False) for answer in answers) == {False: 1, True: COPIES - 1}
    traffic.promises += promises[0]
    assert find_faults(traffic.promises, await settled(installation, traffic)) == []


async def test_form_sent_again_under_its_idempotency_key_is_one_record(
    installation: Installation, traffic: Traffic
) -> None:
    person = traffic.person("twin")
    body, headers = traffic.delivery("web_form", person).body, traffic.delivery("web_form", person).headers
    answers = await post_copies(traffic, "web_form", Post({**headers, "idempotency-key": "form-1"}, body))
    promises = [read_promises(answer, "web_form", person.email) for answer in answers]
    assert len({tuple(one) for one in promises}) == 1
    traffic.promises += promises[0]
    assert find_faults(traffic.promises, await settled(installation, traffic)) == []


async def test_person_who_comes_several_times_at_once_by_every_way_has_one_owner(
    installation: Installation, traffic: Traffic
) -> None:
    person = traffic.person("everywhere")
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        posted = await asyncio.gather(*(traffic.post(client, kind, person) for kind in KINDS for _ in range(2)))
    evidence = await settled(installation, traffic)
    lead_of = {row["record_id"]: row["lead_id"] for row in evidence.records}
    leads = {lead_of[promise.record_id] for promises in posted for promise in promises}
    assert len(leads) == 1
    assert find_faults(traffic.promises, evidence) == []


async def test_every_consumer_rewound_to_the_start_changes_nothing(
    installation: Installation, traffic: Traffic
) -> None:
    await traffic.pour(60, 60, "rewound")
    await until("consumers are done", lambda: find_lag(installation))
    before = await settled(installation, traffic)
    await asyncio.to_thread(installation.stop)
    assert set(installation.exit_codes().values()) == {0}
    await rewind(installation)
    installation.start(*NAMES)
    await asyncio.to_thread(installation.wait_ready, *NAMES)
    await until("consumers read everything again", lambda: find_lag(installation))
    after = await settled(installation, traffic)
    assert effects(after) == effects(before)
    assert len(after.events) > len(before.events), "twins were published: the rewind was real"
    assert find_faults(traffic.promises, after) == []


async def test_topics_repeated_in_another_order_change_nothing(installation: Installation, traffic: Traffic) -> None:
    await traffic.pour(30, 60, "shuffled")
    await until("consumers are done", lambda: find_lag(installation))
    before = await settled(installation, traffic)
    events = await read_topics(installation)
    seeded("shuffled").shuffle(events)
    await publish_again(installation, events)
    await until("consumers read the twins", lambda: find_lag(installation))
    after = await collect(installation)
    after.events = await read_topics(installation)
    assert effects(after) == effects(before)
    assert find_faults(traffic.promises, after) == []
