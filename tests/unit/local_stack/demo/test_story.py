"""A record's story is put together from what each service says."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from local_stack.demo.posting import Delivery
from local_stack.demo.samples import LEAD
from local_stack.demo.story import Reader, Story
from local_stack.load.crm import Callback

SERVICES = ("ingest", "scoring", "consent", "routing", "sla-monitor")
LEAD_ID = "l-1"
ANSWERS: dict[str, Any] = {
    "ingest/v1/submissions/s-1": {
        "records": [
            {"record_id": "r-1", "nature": "lead", "state": "assigned", "reason": None, "lead_id": LEAD_ID,
             "received_at": "2026-11-24T12:00:00Z"},
            {"record_id": "r-2", "nature": "ignored", "state": "ignored", "reason": "redacted", "lead_id": None,
             "received_at": "2026-11-24T12:00:00Z"},
        ]
    },
    "ingest/v1/leads/l-1": {"enriched_at": "2026-11-24T12:00:00.010Z"},
    "scoring/v1/leads/l-1/score": {"decided": {"scored_at": "2026-11-24T12:00:00.020Z"}},
    "consent/v1/leads/l-1/consent": {
        "may_contact": True, "last_decision": {"decided_at": "2026-11-24T12:00:00.030Z"},
    },
    "routing/v1/leads/l-1/routing": {"owner": {"assigned_at": "2026-11-24T12:00:00.040Z"}},
}  # fmt: skip
DELIVERY = Delivery("Ada L.", "zoom", 200, 200, (LEAD,), "s-1", ("r-1", "r-2"))
REFUSED = DELIVERY._replace(status=401, submission_id=None, record_ids=())


def told(lead_id: str) -> Callback:
    at = datetime(2026, 11, 24, 12, 0, 0, 50_000, tzinfo=UTC).timestamp()
    return Callback("c-1", at, is_verified=True, body={"data": {"lead_id": lead_id}}, digest="d")


async def read(answers: dict[str, Any], *deliveries: Delivery) -> dict[str, list[Story]]:
    asked: Counter[str] = Counter()

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.host + request.url.path
        asked[path] += 1
        return httpx.Response(200, json=answers[path]) if path in answers else httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        reader = Reader(client, {service: f"http://{service}" for service in SERVICES})
        stories = await reader.read(deliveries, [told(LEAD_ID), told("l-of-an-earlier-run")])
    assert set(asked.values()) == {1}
    return stories


async def test_story_has_each_stage_in_milliseconds_from_receipt() -> None:
    [lead, _] = (await read(ANSWERS, DELIVERY))["s-1"]
    stages = {"enriched": 10, "scored": 20, "consented": 30, "assigned": 40, "callback": 50}
    assert lead.stages == pytest.approx(stages, abs=0.01)


async def test_story_has_the_callbacks_of_its_own_lead_only() -> None:
    [lead, ignored] = (await read(ANSWERS, DELIVERY))["s-1"]
    assert [callback.body["data"]["lead_id"] for callback in lead.callbacks] == [LEAD_ID]
    assert list(ignored.callbacks) == []


async def test_what_a_service_does_not_know_is_none() -> None:
    answers = {path: body for path, body in ANSWERS.items() if path.startswith("ingest")}
    [lead, _] = (await read(answers, DELIVERY))["s-1"]
    assert (lead.score, lead.consent, lead.routing, lead.may_contact) == (None, None, None, False)
    assert lead.stages.keys() == {"enriched", "callback"}


async def test_refused_delivery_has_no_story() -> None:
    assert (await read(ANSWERS, REFUSED, DELIVERY)).keys() == {"s-1"}


async def test_accepted_delivery_that_ingest_does_not_know_has_an_empty_story() -> None:
    assert await read({}, DELIVERY) == {"s-1": []}
