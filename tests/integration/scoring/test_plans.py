"""What a draft of the model would have decided, from stored facts as they were known."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from scoring.history import read_chunk, read_colleagues
from scoring.jobs.kinds import JobContext, JobRefused
from scoring.jobs.runner import JobRunner
from scoring.model_document import default_model_text
from scoring.planning.kind import run_plan
from scoring.planning.request import PlanRequest
from scoring.planning.views import PlanResult
from shared.contracts import LeadEnriched
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_enriched, make_facts, make_lead, make_origin

VERSIONS = "/v1/documents/scoring_model/versions"
ACCOUNT = "account: {cap: 20, signals: [{id: colleague_demo, activity: demo_request, points: 20}]}\n"


@pytest.fixture
async def plans(scoring: ServiceHarness) -> AsyncIterator[ServiceHarness]:
    yield scoring
    for table in ("job", "timer", "lead_score", "score_decision", "activity", "lead_account"):
        await scoring.fetch(f"DELETE FROM {table}")  # noqa: S608 - a constant


def enriched(scoring: ServiceHarness, seniority: str = "vp", **fields: Any) -> LeadEnriched:
    """A lead of 22 points of fit, if it is a vp."""
    values: dict[str, Any] = {
        "lead": make_lead(industry=None, employees=None),
        "facts": make_facts(seniority=seniority),
        "origin": make_origin(received_at=scoring.clock.now()),
    }
    return make_enriched(new_id(), **{**values, **fields})


async def draft(scoring: ServiceHarness, *changes: tuple[str, str], more: str = "") -> str:
    body = default_model_text() + more
    for old, new in changes:
        assert old in body
        body = body.replace(old, new, 1)
    answer = await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["version"])


async def plan(scoring: ServiceHarness, version: str, **asked: Any) -> PlanResult:
    [models] = [each for each in scoring.runtime.service.documents if each.kind == "scoring_model"]
    context = JobContext(scoring.runtime.database, models, scoring.clock.now(), new_id())
    return PlanResult(**await run_plan(context, PlanRequest(version=version, **asked)))


async def test_a_draft_that_raises_one_rule_moves_exactly_the_leads_it_should(plans):
    vps = [enriched(plans), enriched(plans, origin=make_origin(source_key="webinar", source_kind="webinar"))]
    await plans.feed(*vps, enriched(plans, "manager"), enriched(plans, "individual"))
    plans.clock.advance(days=1)
    result = await plan(plans, await draft(plans, ("points: 22", "points: 24.5")))
    assert (result.leads, result.leads_in_period) == (4, 4)
    assert [(each.lead_id, each.points_before, each.points_after) for each in result.top_movers] == [
        (lead_id, 22.0, 24.5) for lead_id in sorted((vp.lead_id for vp in vps), reverse=True)
    ]
    assert [
        [(part.group, part.source, part.before, part.after) for part in each.because] for each in result.top_movers
    ] == [[("job_title", "vp", 22.0, 24.5)]] * 2
    assert [(each.source, each.points, each.leads) for each in result.rules] == [("vp", 5.0, 2)]
    assert (result.points.leads_up, result.points.leads_down, result.points.leads_unmoved) == (2, 0, 2)
    assert (result.points.mean, result.points.p50, result.points.p90) == (1.25, 0.0, 2.5)
    assert {each.value: (each.leads, round(each.mean_after - each.mean_before, 2)) for each in result.by_source} == {
        "website": (3, 0.83), "webinar": (1, 2.5)
    }  # fmt: skip


async def test_the_live_version_planned_changes_nothing_and_makes_every_decision_again(plans):
    leads = [enriched(plans), enriched(plans, "c_level", activities=("demo_request",)), enriched(plans, "manager")]
    await plans.feed(*leads)
    for hours, kind in ((3, "website_visit"), (30, "unsubscribe"), (20, "webinar_attendance"), (90, "email_click")):
        plans.clock.advance(hours=hours)
        await plans.fire_due_timers()
        await plans.feed(*(make_activity(lead.lead_id, kind=kind, occurred_at=plans.clock.now()) for lead in leads))
    plans.clock.advance(days=10)
    await plans.fire_due_timers()
    plans.clock.advance(hours=1)
    result = await plan(plans, "1")
    assert (result.points.mean, result.grade_changed, result.qualified.gained, result.qualified.lost) == (0, 0, 0, 0)
    assert (result.top_movers, result.rules) == ([], [])
    assert result.against_decided.reproduced == result.leads == 3
    assert result.crossings_before == result.crossings_after == result.against_decided.crossings
    assert result.crossings_after.left_by_decay > 0
    assert [(each.version, each.leads) for each in result.against_decided.decided_by] == [("1", 3)]


async def test_crossings_either_way_and_changed_grades_are_counted(plans):
    asked, grown = enriched(plans, activities=("demo_request",)), enriched(plans, "director")
    await plans.feed(asked, grown)  # 52 points, an MQL; 18 points
    plans.clock.advance(hours=1)
    higher = await plan(plans, await draft(plans, ("threshold: 50", "threshold: 60")))
    assert (higher.qualified.before, higher.qualified.after, higher.qualified.lost) == (1, 0, 1)
    assert (higher.crossings_before.entered, higher.crossings_after.entered) == (1, 0)
    letters = await plan(plans, await draft(plans, ("C: 15", "C: 20")))
    assert letters.grade_changed == 1
    assert [(each.before, each.after, each.leads) for each in letters.grades] == [("C", "C", 1), ("C", "D", 1)]


async def test_decay_that_a_shorter_half_life_brings_into_the_period_is_counted(plans):
    await plans.feed(enriched(plans, activities=("demo_request",)))
    plans.clock.advance(days=3)
    result = await plan(plans, await draft(plans, ("half_life_days: 14", "half_life_days: 2")))
    assert (result.crossings_before.left, result.crossings_after.left) == (0, 1)
    assert result.crossings_after.left_by_decay == 1
    assert (result.qualified.lost, result.qualified_at_end.lost) == (0, 1)


async def test_what_became_known_after_the_period_is_not_looked_at(plans):
    lead = enriched(plans)
    await plans.feed(lead)
    plans.clock.advance(days=1)
    until = plans.clock.now()
    plans.clock.advance(days=1)
    await plans.feed(make_activity(lead.lead_id, kind="demo_request", occurred_at=until - timedelta(hours=20)))
    version = await draft(plans, ("points: 30", "points: 29"))
    before = await plan(plans, version, until=until)
    assert (before.points.mean_before, before.points.mean_after) == (22.0, 22.0)
    plans.clock.advance(hours=1)
    after = await plan(plans, version)
    assert after.points.mean_before > after.points.mean_after > 22.0


async def test_a_lead_that_was_scored_before_the_period_only_is_not_seen_but_its_past_is_known(plans):
    old, other = enriched(plans, activities=("demo_request",)), enriched(plans)
    await plans.feed(old, other)
    plans.clock.advance(days=2)
    await plans.feed(make_activity(old.lead_id, kind="website_visit", occurred_at=plans.clock.now()))
    plans.clock.advance(hours=1)
    result = await plan(plans, "1", days=1)
    assert result.leads == 1
    assert (result.qualified.before, result.crossings_before.entered) == (1, 0)


async def test_a_draft_that_counts_what_colleagues_do_is_planned_with_what_they_did(plans):
    waiting, acting = (
        enriched(plans, "director", lead=make_lead(industry=None, employees=300)) for _ in range(2)
    )  # fmt: skip
    stranger = enriched(plans, "director", facts=make_facts(seniority="director", company_domain="else.example"))
    await plans.feed(waiting, acting, stranger)  # the directors of acme have 34 points
    plans.clock.advance(days=1)
    known_at = plans.clock.now()
    await plans.feed(make_activity(acting.lead_id, kind="demo_request", occurred_at=known_at))
    plans.clock.advance(hours=1)
    version = await draft(plans, more=ACCOUNT)
    result = await plan(plans, version)
    assert (result.qualified.before, result.qualified.gained, result.crossings_after.entered) == (1, 1, 2)
    before = await plan(plans, version, until=known_at)
    assert (before.points.mean, before.qualified.after) == (0, 0)


async def test_decisions_about_colleagues_are_made_again_too(plans):
    version = await draft(plans, more=ACCOUNT)
    assert (await plans.http.post(f"{VERSIONS}/{version}/apply", json={"why": "a test"})).status_code == 200
    waiting, acting = (
        enriched(plans, "director", lead=make_lead(industry=None, employees=300)) for _ in range(2)
    )  # fmt: skip
    await plans.feed(waiting, acting)
    plans.clock.advance(seconds=90)
    await plans.feed(make_activity(acting.lead_id, kind="demo_request", occurred_at=plans.clock.now()))
    plans.clock.advance(seconds=10)
    await plans.fire_due_timers()
    plans.clock.advance(days=22)
    await plans.fire_due_timers()
    plans.clock.advance(hours=1)
    result = await plan(plans, version)
    assert (await plans.http.post(f"{VERSIONS}/1/apply", json={"why": "a test"})).status_code == 200
    rows = await plans.fetch(
        "SELECT trigger FROM score_decision WHERE lead_id = $1 ORDER BY scored_at", waiting.lead_id
    )
    assert [row["trigger"] for row in rows] == ["submission", "account", "decay"]
    assert result.against_decided.reproduced == result.leads == 2
    assert result.crossings_after == result.against_decided.crossings
    assert (result.crossings_after.entered, result.crossings_after.left_by_decay) == (2, 2)


async def test_a_lead_that_comes_into_an_account_finds_there_what_was_done_only_then(plans):
    director = make_facts(seniority="director", company_domain="else.example")
    acting = enriched(plans, "director")
    moving = enriched(plans, "director", lead=make_lead(industry=None, employees=300), facts=director)
    await plans.feed(acting, moving)
    await plans.feed(make_activity(acting.lead_id, kind="demo_request", occurred_at=plans.clock.now()))
    plans.clock.advance(days=2)
    joined = plans.clock.now()
    await plans.feed(
        make_enriched(
            moving.lead_id,
            lead=make_lead(industry=None, employees=300),
            facts=make_facts(seniority="director"),
            origin=make_origin(received_at=joined),
        )
    )
    plans.clock.advance(hours=1)
    async with plans.runtime.database.connection() as sql:
        histories = await read_chunk(sql, [moving.lead_id], plans.clock.now())
        found = await read_colleagues(sql, histories, kinds={"demo_request"}, until=plans.clock.now())
    assert [(each.kind, each.known_at) for each in found[moving.lead_id]] == [("demo_request", joined)]
    result = await plan(plans, await draft(plans, more=ACCOUNT), days=1)  # the demo was before the period
    assert (result.qualified.gained, result.crossings_after.entered, result.crossings_after.left) == (1, 1, 0)


async def test_of_a_lead_with_a_long_history_the_newest_is_read_and_who_it_was(plans, monkeypatch):
    monkeypatch.setattr("scoring.history.MOST_DECISIONS", 3)
    busy, quiet = enriched(plans, "director"), enriched(plans, "vp")
    await plans.feed(busy, quiet)
    for _ in range(5):
        plans.clock.advance(hours=1)
        await plans.feed(make_activity(busy.lead_id, kind="website_visit", occurred_at=plans.clock.now()))
    plans.clock.advance(hours=1)
    async with plans.runtime.database.connection() as sql:
        read = await read_chunk(sql, [busy.lead_id, quiet.lead_id], plans.clock.now())
    histories = {each.lead_id: each for each in read}
    cut = histories[busy.lead_id]
    assert (len(cut.decisions), len(cut.profiles), cut.is_cut) == (3, 1, True)
    assert cut.profiles[0][1].facts.seniority == "director"
    assert [each.scored_at for each in cut.decisions] == sorted(each.scored_at for each in cut.decisions)
    assert cut.decisions[-1].scored_at == plans.clock.now() - timedelta(hours=1)
    assert not histories[quiet.lead_id].is_cut
    result = await plan(plans, "1")
    assert (result.leads, result.leads_cut, result.against_decided.reproduced) == (2, 1, 2)


async def test_what_no_lead_met_is_listed_as_never_fired(plans):
    await plans.feed(enriched(plans, activities=("demo_request",)))
    plans.clock.advance(hours=1)
    unused = {(each.group, each.source) for each in (await plan(plans, "1")).never_fired}
    assert ("trial_usage", "trial_usage") in unused
    assert ("competitor", "competitor") in unused
    assert not unused & {("job_title", "vp"), ("demo_requests", "demo_request")}


async def test_a_sample_is_the_same_each_time_and_said_to_be_one(plans):
    await plans.feed(*(enriched(plans) for _ in range(8)))
    plans.clock.advance(hours=1)
    version = await draft(plans, ("points: 22", "points: 20"))
    first, second = await plan(plans, version, sample=3), await plan(plans, version, sample=3)
    assert first == second
    assert (first.leads, first.leads_in_period) == (3, 8)


async def test_a_period_without_leads_is_answered_in_words(plans):
    with pytest.raises(JobRefused, match="No lead was scored in this period"):
        await plan(plans, "1")


async def test_a_plan_runs_as_a_job_and_is_found_by_its_version(plans):
    await plans.feed(enriched(plans))
    plans.clock.advance(hours=1)
    version = await draft(plans, ("points: 22", "points: 21"))
    started = await plans.http.post("/v1/plans", json={"version": version, "days": 7})
    assert started.status_code == 202, started.text
    plan_id = started.json()["job_id"]
    assert started.headers["location"] == f"/v1/jobs/{plan_id}"
    assert await JobRunner(plans.runtime, timedelta(days=1)).run_once()
    listed = (await plans.http.get("/v1/plans", params={"version": version, "state": "done", "limit": 1})).json()
    assert [each["job_id"] for each in listed["items"]] == [plan_id]
    assert (await plans.http.get("/v1/plans", params={"version": "99"})).json()["items"] == []
    got = (await plans.http.get(f"/v1/plans/{plan_id}")).json()
    assert (got["done"], got["total"]) == (1, 1)
    assert got["result"]["live_version"] == "1"
    assert got["result"]["points"]["mean"] == -1.0
    assert got["result"] == (await plans.http.get(f"/v1/jobs/{plan_id}")).json()["result"]


async def test_a_plan_that_cannot_be_made_is_refused_at_once(plans):
    unknown = await plans.http.post("/v1/plans", json={"version": "99"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (404, "/version")
    future = plans.clock.now() + timedelta(days=1)
    early = await plans.http.post("/v1/plans", json={"version": "1", "until": future.isoformat()})
    assert (early.status_code, early.json()["errors"][0]["pointer"]) == (422, "/until")
    wrong = await plans.http.post("/v1/plans", json={"version": "draft", "days": 0, "colour": "red"})
    assert {each["pointer"] for each in wrong.json()["errors"]} == {"/version", "/days", "/colour"}
    assert (await plans.http.get("/v1/plans/0199b5d0-0000-7000-8000-00000000ffff")).status_code == 404


async def test_planning_needs_its_scope(plans):
    async with plans.http_as("leads:read") as client:
        assert (await client.post("/v1/plans", json={"version": "1"})).status_code == 403
        assert (await client.get("/v1/plans")).status_code == 403
