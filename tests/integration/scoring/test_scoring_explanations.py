"""A score over HTTP says where its inputs came from, what would raise it, and what time will do to it."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scoring import api
from scoring.domain.standing import stand_at
from scoring.explanation import api as explanation_api
from scoring.explanation.answers import answer_evidence, answer_outlook
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_enriched, make_facts, make_lead, make_origin

NOBODY = "01890000-0000-7000-8000-000000000000"


async def ask(scoring: ServiceHarness, lead_id: str, what: str, **params: str) -> dict[str, Any]:
    answer = await scoring.http.get(f"/v1/leads/{lead_id}/score/{what}", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_input_names_the_record_that_brought_it(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    first, second = make_origin(source_key="webinar"), make_origin(source_key="website", is_new_lead=False)
    await scoring.feed(make_enriched(lead_id, origin=first, lead=make_lead(employees=None)))
    known_first = scoring.clock.now()
    scoring.clock.advance(days=1)
    await scoring.feed(make_enriched(lead_id, origin=second, lead=make_lead(employees=500)))
    evidence = await ask(scoring, lead_id, "evidence")
    inputs = {each["name"]: each for each in evidence["inputs"]}
    assert {each["source"]: each["condition"] for each in evidence["rules"]}["201_to_1000"] == (
        "lead.employees at least 201 and at most 1000"
    )
    assert (inputs["lead.employees"]["value"], inputs["lead.employees"]["record"]["record_id"]) == (
        "500", second.record_id,
    )  # fmt: skip
    assert inputs["lead.industry"]["record"]["source_key"] == "webinar"
    assert inputs["lead.industry"]["known_at"] == known_first.isoformat().replace("+00:00", "Z")
    assert inputs["facts.seniority"]["derived_from"] == ["lead.title"]
    assert (await ask(scoring, lead_id, "evidence", at=known_first.isoformat()))["inputs"][0]["record"][
        "record_id"
    ] == first.record_id


async def test_every_signal_names_the_activities_that_count(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    now = scoring.clock.now()
    visits = [
        make_activity(lead_id, kind="website_visit", occurred_at=now - timedelta(minutes=number)) for number in range(4)
    ]
    await scoring.feed(*visits)
    scoring.clock.advance(days=14)
    (signal,) = (await ask(scoring, lead_id, "evidence"))["signals"]
    assert (signal["source"], signal["half_life_days"], signal["left_out"], signal["more"]) == (
        "website_visit",
        14,
        1,
        0,
    )
    assert [each["activity_id"] for each in signal["activities"]] == [each.activity_id for each in visits[:3]]
    assert signal["activities"][0]["points"] == 1.0


async def test_evidence_names_no_person(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id, activities=("demo_request",)))
    answers = [str(await ask(scoring, lead_id, what)).lower() for what in ("evidence", "outlook")]
    assert not any(word in answer for answer in answers for word in ("dana", "reyes", "acme.example"))


async def test_the_outlook_says_when_decay_ends_what(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(industry=None, employees=None)
    await scoring.feed(make_enriched(lead_id, lead=lead, activities=("demo_request",)))
    outlook = await ask(scoring, lead_id, "outlook")
    assert (outlook["is_mql"], outlook["to_mql"], outlook["to_next_grade"]["goal"]) == (True, None, "B")
    assert outlook["falls"][1]["at"] == outlook["mql_ends_at"]
    for ahead in outlook["forecast"]:
        answer = await scoring.http.get(f"/v1/leads/{lead_id}/score", params={"at": ahead["at"]})
        assert answer.json()["points"] == ahead["points"]
    then = await ask(scoring, lead_id, "outlook", at=outlook["mql_ends_at"])
    assert (then["is_mql"], then["points"], then["mql_ends_at"]) == (False, 44.99, None)


async def test_what_the_outlook_suggests_makes_the_lead_an_mql_when_it_happens(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id, facts=make_facts(seniority="manager")))
    prospect = (await ask(scoring, lead_id, "outlook"))["to_mql"]
    assert (prospect["goal"], prospect["missing"]) == ("mql", 7.0)
    cheapest = prospect["options"][0]
    assert (cheapest["kind"], cheapest["steps"], cheapest["excess"]) == ("signal", 1, 3.0)
    activity = make_activity(lead_id, kind=cheapest["activity"], occurred_at=scoring.clock.now())
    await scoring.feed(activity)
    score = (await scoring.http.get(f"/v1/leads/{lead_id}/score")).json()
    assert (score["is_mql"], score["points"]) == (True, cheapest["points"])


async def test_a_lead_that_nothing_single_makes_an_mql_is_told_why(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id, facts=make_facts(seniority="manager", is_competitor=True)))
    prospect = (await ask(scoring, lead_id, "outlook"))["to_mql"]
    assert prospect["options"] == []
    assert prospect["closest"]["source"] == "demo_request"
    assert "no single signal or rule reaches it" in prospect["reason"]


class Watched:
    """Calls through, slowly, and writes down in which threads and how many at a time."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call, self.threads, self.now, self.most = call, set[int](), 0, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.threads.add(threading.get_ident())
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.05)
        self.now -= 1
        return self.call(*args, **kwargs)


async def test_outlooks_are_computed_one_at_a_time(scoring: ServiceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    watched = Watched(answer_outlook)
    monkeypatch.setattr(explanation_api, "answer_outlook", watched)
    await asyncio.gather(*(ask(scoring, lead_id, "outlook") for _ in range(4)))
    assert watched.most == 1


async def test_what_takes_long_is_computed_beside_the_event_loop(
    scoring: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    evidence, standing = Watched(answer_evidence), Watched(stand_at)
    monkeypatch.setattr(explanation_api, "answer_evidence", evidence)
    monkeypatch.setattr(api, "stand_at", standing)
    await ask(scoring, lead_id, "evidence")
    assert (await scoring.http.post("/v1/scores/preview", json={})).status_code == 200
    assert evidence.threads
    assert standing.threads
    assert threading.get_ident() not in evidence.threads | standing.threads


@pytest.mark.parametrize("what", ["evidence", "outlook"])
async def test_a_lead_without_a_score_has_no_explanation(scoring: ServiceHarness, what: str) -> None:
    answer = await scoring.http.get(f"/v1/leads/{NOBODY}/score/{what}")
    assert (answer.status_code, answer.json()["type"]) == (404, "https://leadrail.dev/problems/score_not_found")
    assert (await scoring.http.get(f"/v1/leads/nonsense/score/{what}")).status_code == 422


@pytest.mark.parametrize("what", ["evidence", "outlook"])
async def test_explanations_need_a_key_that_may_read_leads(scoring: ServiceHarness, what: str) -> None:
    async with scoring.http_as() as nobody, scoring.http_as("ingest:write") as sender:
        assert (await nobody.get(f"/v1/leads/{NOBODY}/score/{what}")).status_code == 401
        assert (await sender.get(f"/v1/leads/{NOBODY}/score/{what}")).status_code == 403
