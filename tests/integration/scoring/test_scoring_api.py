"""The score of a lead over HTTP: explained, at any instant, with its history."""

from datetime import timedelta
from typing import Any

import pytest

from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_enriched, make_facts, make_lead

NOBODY = "01890000-0000-7000-8000-000000000000"


async def test_a_score_explains_itself_to_the_last_hundredth(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id, activities=("demo_request",)))
    scoring.clock.advance(days=14)
    answer = (await scoring.http.get(f"/v1/leads/{lead_id}/score")).json()
    assert (answer["fit"], answer["engagement"], answer["points"]) == (53.0, 15.0, 68.0)
    assert round(sum(line["points"] for line in answer["lines"]), 2) == answer["points"]
    assert [line["kind"] for line in answer["lines"]] == ["rule", "rule", "rule", "signal", "decay"]
    assert (answer["decided"]["points"], answer["decided"]["model_version"]) == (83.0, "1")
    assert round(sum(line["points"] for line in answer["decided"]["lines"]), 2) == 83.0


async def test_the_past_is_shown_as_it_was_known_then(scoring: ServiceHarness) -> None:
    lead_id, before = new_id(), scoring.clock.now()
    await scoring.feed(make_enriched(lead_id, facts=make_facts(seniority="manager")))
    scoring.clock.advance(hours=1)
    await scoring.feed(make_activity(lead_id, occurred_at=before))
    await scoring.feed(make_enriched(lead_id))
    scoring.clock.advance(hours=1)
    url = f"/v1/leads/{lead_id}/score"
    then = (await scoring.http.get(url, params={"at": (before + timedelta(minutes=30)).isoformat()})).json()
    assert (then["points"], then["engagement"], then["decided"]["trigger"]) == (43.0, 0.0, "submission")
    assert (await scoring.http.get(url)).json()["fit"] == 53.0
    unknown = await scoring.http.get(url, params={"at": (before - timedelta(seconds=1)).isoformat()})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "https://leadrail.dev/problems/score_not_found")


async def test_the_future_shows_what_decay_will_do(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(industry=None, employees=None)
    await scoring.feed(make_enriched(lead_id, lead=lead, activities=("demo_request",)))
    url = f"/v1/leads/{lead_id}/score"
    now = (await scoring.http.get(url)).json()
    later = (await scoring.http.get(url, params={"at": now["mql_ends_at"]})).json()
    assert (now["is_mql"], later["is_mql"], later["points"]) == (True, False, 44.99)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/leads/0193-not-an-id/score", 422),
        (f"/v1/leads/{NOBODY}/score", 404),
        (f"/v1/leads/{NOBODY}/score/history", 404),
        (f"/v1/leads/{NOBODY}/score?at=2026-11-24T10:00:00", 422),
        ("/v1/scores?grade=E", 422),
        ("/v1/scores?min_points=-1", 422),
        ("/v1/scores?limit=0", 422),
        ("/v1/scores?cursor=nonsense", 422),
        ("/v1/scores?cursor=WyJhIiwiYiJd", 422),
    ],
)
async def test_a_request_that_makes_no_sense_is_a_problem(scoring: ServiceHarness, path: str, status: int) -> None:
    answer = await scoring.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("path", ["/v1/scores", f"/v1/leads/{NOBODY}/score", f"/v1/leads/{NOBODY}/score/history"])
async def test_scores_need_a_key_that_may_read_leads(scoring: ServiceHarness, path: str) -> None:
    async with scoring.http_as() as nobody, scoring.http_as("ingest:write") as sender:
        assert (await nobody.get(path)).status_code == 401
        assert (await sender.get(path)).status_code == 403


async def test_the_history_holds_every_decision_newest_first(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    for kind in ("content_download", "demo_request"):
        scoring.clock.advance(minutes=1)
        await scoring.feed(make_activity(lead_id, kind=kind, occurred_at=scoring.clock.now()))
    url = f"/v1/leads/{lead_id}/score/history"
    first = (await scoring.http.get(url, params={"limit": 2})).json()
    rest = (await scoring.http.get(url, params={"cursor": first["next_cursor"]})).json()
    assert [item["points"] for item in first["items"] + rest["items"]] == [88.0, 58.0, 53.0]
    assert rest["next_cursor"] is None


async def test_scores_are_listed_highest_first_page_by_page_and_filtered(scoring: ServiceHarness) -> None:
    leads = {
        new_id(): make_facts(seniority=seniority) for seniority in ("individual", "vp", "c_level", "manager", "vp")
    }
    await scoring.feed(*[make_enriched(lead_id, facts=facts) for lead_id, facts in leads.items()])
    pages: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(100):
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await scoring.http.get("/v1/scores", params=params)).json()
        pages += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    points = [item["points"] for item in pages]
    assert points == sorted(points, reverse=True)
    assert len({item["lead_id"] for item in pages}) == len(pages) >= 5
    strong = (await scoring.http.get("/v1/scores", params={"min_points": 53, "is_mql": True, "grade": "A"})).json()
    assert {item["lead_id"] for item in strong["items"]} >= {
        lead_id for lead_id, facts in leads.items() if facts.seniority in {"vp", "c_level"}
    }
    assert all(item["points"] >= 53 and item["is_mql"] and item["grade"] == "A" for item in strong["items"])


async def test_a_preview_scores_a_lead_that_does_not_exist(scoring: ServiceHarness) -> None:
    body = {
        "seniority": "vp",
        "employees": 300,
        "at": (NOON + timedelta(days=14)).isoformat(),
        "activities": [{"kind": "demo_request", "occurred_at": NOON.isoformat()}],
    }
    answer = (await scoring.http.post("/v1/scores/preview", json=body)).json()
    assert (answer["fit"], answer["engagement"], answer["is_mql"]) == (38.0, 15.0, True)
    unknown = await scoring.http.post("/v1/scores/preview", json={"model_version": "77"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (404, "/model_version")
    refused = await scoring.http.post("/v1/scores/preview", json={"shoe_size": 44})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/shoe_size")


async def test_a_preview_does_not_count_what_is_yet_to_happen(scoring: ServiceHarness) -> None:
    later = (NOON + timedelta(days=1)).isoformat()
    body = {"at": NOON.isoformat(), "activities": [{"kind": "demo_request", "occurred_at": later}]}
    assert (await scoring.http.post("/v1/scores/preview", json=body)).json()["engagement"] == 0.0
    answer = (await scoring.http.post("/v1/scores/preview", json={**body, "at": later})).json()
    assert answer["engagement"] == 30.0
