"""What one consumer cannot digest makes one lead wait for a person. Everybody else flows, and the ledger knows."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from shared.ids import new_id

from .evidence import Evidence, execute, read_topics, rows, settle, until
from .installation import Installation
from .traffic import Promise, Traffic
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

GOOD = 24
WHY = "the address was typed by a monkey"


@asynccontextmanager
async def indigestible(installation: Installation, text: str) -> AsyncIterator[None]:
    """Let scoring fail to store every lead whose profile holds *text*: a row that breaks a constraint."""
    await execute(
        installation,
        f"ALTER TABLE scoring.score_decision ADD CONSTRAINT planted CHECK (position('{text}'::bytea IN profile) = 0)",
    )
    try:
        yield
    finally:
        await execute(installation, "ALTER TABLE scoring.score_decision DROP CONSTRAINT planted")


async def states_of(installation: Installation, *promises: Promise) -> list[str]:
    found = await rows(
        installation,
        "SELECT record_id::text AS id, state FROM ingest.record WHERE record_id = ANY($1::uuid[])",
        [promise.record_id for promise in promises],
    )
    state = {row["id"]: row["state"] for row in found}
    return [state[promise.record_id] for promise in promises]


def all_in_state(installation: Installation, wanted: str, *promises: Promise) -> Callable[[], Awaitable[list[str]]]:
    async def missing() -> list[str]:
        states = await states_of(installation, *promises)
        return [
            f"{p.record_id} is {state}, not {wanted}"
            for p, state in zip(promises, states, strict=True)
            if state != wanted
        ]

    return missing


async def settled_but(installation: Installation, traffic: Traffic, *waiting: Promise) -> Evidence:
    """Return everything once all promises but those *waiting* are kept."""
    others = [promise for promise in traffic.promises if promise not in waiting]
    return await settle(installation, lambda seen: find_unfinished(others, seen))


async def items_of(api: httpx.AsyncClient, url: str) -> list[dict[str, Any]]:
    answer = await api.get(url, params={"limit": 200})
    answer.raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_poison_parks_its_lead_only_and_retry_and_skip_are_a_persons_audited_decisions(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    scoring, ingest = installation.urls["scoring"], installation.urls["ingest"]
    mended, given_up = traffic.person("poison"), traffic.person("poison")
    async with indigestible(installation, ".poison-"):
        first = await traffic.send("standard_webhooks", mended)
        lost = await traffic.send("cloudevents", given_up)
        await traffic.pour(GOOD, 60, "healthy")
        await until("the ledger has both leads parked", all_in_state(installation, "parked", first, lost))
        behind = await traffic.send("typeform", mended)
        await until("the later record waits, too", all_in_state(installation, "parked", behind))
        evidence = await settled_but(installation, traffic, first, lost, behind)
        assert evidence.counters["parked"] == 3
        assert evidence.counters["accepted"] == len(traffic.promises) == sum(evidence.counters.values()) // 2
        parked = await items_of(api, f"{scoring}/v1/parking")
        assert [(item["consumer"], item["lead_id"]) for item in parked] == [
            ("scoring", first.lead_id), ("scoring", lost.lead_id), ("scoring", first.lead_id),
        ]  # fmt: skip
        assert parked[0]["error"].startswith("CheckViolation")
        still = await api.post(f"{scoring}/v1/parking/scoring/{first.lead_id}/retry")
        assert still.status_code == httpx.codes.CONFLICT, "what still fails stays parked"
    ledger = (await api.get(f"{ingest}/v1/ledger", params={"verify": True})).json()
    assert (ledger["balanced"], ledger["mapped_by_state"]["parked"]) == (True, 3)

    retried = await api.post(f"{scoring}/v1/parking/scoring/{first.lead_id}/retry")
    assert (retried.status_code, retried.json()) == (httpx.codes.OK, {"released": 2, "remaining": 0})
    skipped = await api.post(f"{scoring}/v1/parking/scoring/{lost.lead_id}/skip", json={"why": WHY})
    assert (skipped.status_code, skipped.json()) == (httpx.codes.OK, {"released": 1, "remaining": 0})
    evidence = await settled_but(installation, traffic, lost)
    assert await items_of(api, f"{scoring}/v1/parking") == []
    assert await states_of(installation, lost) == ["parked"], "given up, and still counted"
    audit = {(row["action"], row["subject"]): row for row in await items_of(api, f"{scoring}/v1/audit")}
    assert audit["parking.skipped", lost.lead_id]["why"] == WHY
    assert audit["parking.skipped", lost.lead_id]["actor"] == audit["parking.retried", first.lead_id]["actor"]
    assert evidence.counters["parked"] == 1
    assert find_faults(traffic.promises, evidence, traffic.attempts) == []


async def test_event_about_no_lead_at_all_waits_alone(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    """It decodes, and no table can hold its id."""
    model = next(event for event in await read_topics(installation, ["leads.enriched"]))
    body = {**model.body, "lead_id": "nobody"}
    await produce(installation, "leads.enriched", "nobody", json.dumps(body).encode(), model.type)

    async def missing() -> list[str]:
        keys = [item["lead_id"] for item in await items_of(api, f"{installation.urls['scoring']}/v1/parking")]
        return [] if keys == ["nobody"] else [f"parked are {keys}"]

    await until("scoring parks the event", missing)
    promises = [await traffic.send(kind, traffic.person("beside")) for kind in ("zoom", "typeform", "cloudevents")]
    await until("others flow", lambda: undecided(installation, promises))
    answer = await api.post(f"{installation.urls['scoring']}/v1/parking/scoring/nobody/skip", json={"why": WHY})
    assert answer.status_code == httpx.codes.OK


async def test_bytes_that_nobody_can_decode_are_kept_as_they_came_and_stop_nobody(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    raw = b"\x00\xff{not json"
    model = next(event for event in await read_topics(installation, ["leads.captured"]))
    await produce(installation, "leads.captured", "whoever", raw, model.type)
    promises = [await traffic.send(kind, traffic.person("beside")) for kind in ("zoom", "typeform", "cloudevents")]
    await until("others flow", lambda: undecided(installation, promises))
    for schema, consumer, service in (
        ("ingest", "ingest-enrich", "ingest"),
        ("sla_monitor", "sla-monitor", "sla-monitor"),
    ):
        kept = await rows(
            installation,
            f"SELECT payload, consumer, topic FROM {schema}.dead_letter",  # noqa: S608 - names are ours
        )
        topic = f"{installation.prefix}leads.captured"
        assert [tuple(row.values()) for row in kept] == [(raw, consumer, topic)]
        [listed] = await items_of(api, f"{installation.urls[service]}/v1/dead-letters")
        assert (listed["topic"], listed["payload_bytes"]) == (topic, len(raw))


async def undecided(installation: Installation, promises: list[Promise]) -> list[str]:
    states = await states_of(installation, *promises)
    return [f"{p.record_id} is {state}" for p, state in zip(promises, states, strict=True) if state == "in_flight"]


async def produce(installation: Installation, topic: str, key: str, value: bytes, event_type: str) -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", new_id().encode()),
        ("ce_type", event_type.encode()),
        ("ce_source", b"leadrail/test"),
        ("ce_time", b"2026-11-24T10:00:00Z"),
    ]
    async with AIOKafkaProducer(bootstrap_servers=installation.kafka) as producer:
        await producer.send_and_wait(installation.prefix + topic, value, key.encode(), headers=headers)
