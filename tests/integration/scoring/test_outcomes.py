"""What the CRM reports of a lead is kept as an outcome, contradictions and all, and shown with what counts."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from scoring.outcomes.catch_up import OutcomeCatchUp
from scoring.outcomes.repository import _COUNT, _MISSING, _OF_LEADS, OutcomeRepository
from shared.contracts import ActivityRecorded
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_enriched

NOBODY = "01890000-0000-7000-8000-000000000000"


def reported(lead_id: str, kind: str, day: int, **detail: str) -> ActivityRecorded:
    return make_activity(lead_id, kind=kind, occurred_at=NOON + timedelta(days=day), detail=detail)


async def stored(scoring: ServiceHarness, lead_id: str) -> list[tuple[Any, ...]]:
    rows = await scoring.fetch(
        "SELECT kind, reason, occurred_at, known_at FROM outcome WHERE lead_id = $1 ORDER BY occurred_at", lead_id
    )
    return [tuple(row) for row in rows]


def known(scoring: ServiceHarness, day: int) -> tuple[datetime, datetime]:
    return NOON + timedelta(days=day), scoring.clock.now()


async def test_a_report_is_kept_with_its_reason_and_when_it_became_known(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    scoring.clock.advance(days=3)
    await scoring.feed(
        reported(lead_id, "rejected", 1, reason="no_budget"),
        reported(lead_id, "opportunity", 2),
        make_activity(lead_id),
    )
    assert await stored(scoring, lead_id) == [
        ("rejected", "no_budget", *known(scoring, 1)),
        ("opportunity", None, *known(scoring, 2)),
    ]
    rows = await scoring.fetch("SELECT kind FROM activity WHERE lead_id = $1", lead_id)
    assert {row["kind"] for row in rows} == {"rejected", "opportunity", "demo_request"}


async def test_the_same_report_counts_once_however_often_it_is_sent(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    before = metric("won")
    report = reported(lead_id, "won", 1)
    await scoring.feed(report, report)
    await scoring.feed(report)
    await scoring.redeliver_last()
    assert await stored(scoring, lead_id) == [("won", None, *known(scoring, 1))]
    assert metric("won") == before + 1


def metric(kind: str) -> float:
    return REGISTRY.get_sample_value("leadrail_scoring_outcomes_total", {"kind": kind}) or 0.0


async def test_an_outcome_may_come_before_its_lead(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(reported(lead_id, "accepted", 1))
    await scoring.feed(make_enriched(lead_id))
    (outcome,) = (await scoring.http.get(f"/v1/leads/{lead_id}/outcomes")).json()["items"]
    assert (outcome["kind"], outcome["counts"]) == ("accepted", True)


async def test_contradictions_are_kept_and_shown_with_what_counts(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    scoring.clock.advance(days=6)
    await scoring.feed(reported(lead_id, "lost", 5), reported(lead_id, "rejected", 1, reason="no_fit"))
    scoring.clock.advance(hours=1)
    await scoring.feed(reported(lead_id, "accepted", 2), reported(lead_id, "won", 4))
    items = (await scoring.http.get(f"/v1/leads/{lead_id}/outcomes")).json()["items"]
    assert [(item["kind"], item["counts"], item["reason"]) for item in items] == [
        ("lost", True, None),
        ("won", False, None),
        ("accepted", True, None),
        ("rejected", False, "no_fit"),
    ]
    lost, won, *_ = items
    assert won["contradicted_by"] == lost["activity_id"]
    assert won["why"] == "contradicted by 'lost' of 2026-11-29T10:00:00Z, which happened later"


async def test_outcomes_come_page_by_page(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(*[reported(lead_id, "opportunity", -day) for day in range(5)])
    url = f"/v1/leads/{lead_id}/outcomes"
    first = (await scoring.http.get(url, params={"limit": 3})).json()
    rest = (await scoring.http.get(url, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [3, 2, None]
    assert len({item["activity_id"] for item in first["items"] + rest["items"]}) == 5


async def test_a_lead_without_outcomes_has_an_empty_list_and_a_stranger_none(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    assert (await scoring.http.get(f"/v1/leads/{lead_id}/outcomes")).json() == {"items": [], "next_cursor": None}
    nobody = await scoring.http.get(f"/v1/leads/{NOBODY}/outcomes")
    assert (nobody.status_code, nobody.json()["type"]) == (404, "https://leadrail.dev/problems/lead_not_found")


@pytest.mark.parametrize("query", ["?cursor=nonsense", "?cursor=WyJub25lIl0", "?limit=0"])
async def test_a_request_that_makes_no_sense_is_a_problem(scoring: ServiceHarness, query: str) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    answer = await scoring.http.get(f"/v1/leads/{lead_id}/outcomes{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_outcomes_need_a_key_that_may_read_leads(scoring: ServiceHarness) -> None:
    async with scoring.http_as("ingest:write") as sender:
        assert (await sender.get(f"/v1/leads/{NOBODY}/outcomes")).status_code == 403


async def test_outcomes_cannot_be_rewritten(scoring: ServiceHarness) -> None:
    await scoring.feed(reported(new_id(), "won", 1))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scoring.fetch("UPDATE outcome SET kind = 'lost'")


async def test_what_an_older_release_kept_as_an_activity_becomes_an_outcome(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.fetch(
        "INSERT INTO activity (lead_id, activity_id, kind, occurred_at, known_at, detail)"
        " SELECT $1, kind, kind, $2, $2, $3 FROM unnest(ARRAY['won', 'rejected', 'demo_request']) AS kinds (kind)",
        lead_id,
        NOON,
        b'{"reason": "price\\u0000"}',
    )
    await scoring.fetch("DELETE FROM outcome_catch_up")
    duty = OutcomeCatchUp(scoring.runtime)
    assert await duty.run_once() == 2
    assert sorted(await stored(scoring, lead_id)) == [("rejected", "price", NOON, NOON), ("won", "price", NOON, NOON)]
    assert await duty.run_once() == 0


async def test_looking_for_missing_outcomes_does_not_read_every_activity(scoring: ServiceHarness) -> None:
    async with scoring.runtime.database.transaction() as sql:
        await sql.execute("SET LOCAL enable_seqscan = off")
        missing = await sql.fetch(f"EXPLAIN {_MISSING}", NOON, 100)
        of_leads = await sql.fetch(f"EXPLAIN {_OF_LEADS}", [new_id()], NOON, 10)
        counted = await sql.fetch(f"EXPLAIN {_COUNT}", ["won"], 30)
    assert "activity_outcome" in "\n".join(row[0] for row in missing)
    assert "outcome_pkey" in "\n".join(row[0] for row in of_leads)
    assert "outcome_by_kind" in "\n".join(row[0] for row in counted)


async def test_a_job_weighs_the_reports_that_the_route_shows(
    scoring: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.outcomes.repository.MOST_OUTCOMES", 3)
    lead_id, other = new_id(), new_id()
    for kind in ("accepted", "rejected", "opportunity", "won", "lost"):
        await scoring.feed(reported(lead_id, kind, 0))
        scoring.clock.advance(hours=1)
    await scoring.feed(reported(other, "won", 0))
    async with scoring.runtime.database.connection() as sql:
        outcomes = OutcomeRepository(sql)
        weighed = await outcomes.list_of_leads([lead_id, other], scoring.clock.now())
        shown = await outcomes.list_of_lead(lead_id)
    assert {each.kind for each in shown} == {"opportunity", "won", "lost"}
    assert sorted(weighed[lead_id], key=str) == sorted(shown, key=str)
    assert [each.kind for each in weighed[other]] == ["won"]


async def test_catching_up_goes_on_where_it_came_to(scoring: ServiceHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.outcomes.repository.CATCH_UP_BATCH", 2)
    await scoring.fetch("DELETE FROM outcome_catch_up")
    lead_id = new_id()
    await scoring.fetch(
        "INSERT INTO activity (lead_id, activity_id, kind, occurred_at, known_at)"
        " SELECT $1, day::text, 'won', $2, $2::timestamptz + day * interval '1 day'"
        " FROM generate_series(0, 4) AS days (day)",
        lead_id,
        NOON - timedelta(days=9),
    )
    came_to = []
    for _ in range(3):
        async with scoring.runtime.work_with(OutcomeRepository) as work:
            await work.repo.catch_up(NOON)
        came_to += await scoring.fetch("SELECT until FROM outcome_catch_up")
    assert [row["until"] for row in came_to] == [NOON - timedelta(days=8), NOON - timedelta(days=6), NOON]
    # They would be found again by who looks at everything after a restart.
    await scoring.fetch("DELETE FROM outcome WHERE lead_id = $1", lead_id)
    assert await OutcomeCatchUp(scoring.runtime).run_once() == 0
