"""What people see: clocks of a lead with their explanation, clocks by time left, compliance, previews."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_assigned, make_captured, make_origin, make_owner


async def assign(harness: ServiceHarness, rep_id: str = "rep-1") -> str:
    """Feed one lead up to its owner; return its id."""
    lead_id = new_id()
    now = harness.clock.now()
    origin = make_origin(received_at=now)
    owner = make_owner(rep_id=rep_id, assigned_at=now + timedelta(seconds=1))
    await harness.feed(make_captured(lead_id, origin=origin))
    await harness.feed(make_assigned(lead_id, origin=origin, owner=owner))
    return lead_id


async def touch(harness: ServiceHarness, lead_id: str) -> None:
    await harness.feed(make_activity(lead_id, kind="first_touch", occurred_at=harness.clock.now()))


async def test_a_lead_shows_all_its_clocks_with_history_and_explanation(harness):
    lead_id = await assign(harness)
    harness.clock.advance(minutes=20)
    await touch(harness, lead_id)
    answer = (await harness.http.get(f"/v1/leads/{lead_id}/sla")).json()
    by_stage = {clock["stage"]: clock for clock in answer["clocks"]}
    first_touch = by_stage["first_touch"]
    assert by_stage["assign"]["stop"]["by"] == "assigned"
    assert [line["state"] for line in first_touch["history"]] == ["started", "met"]
    assert first_touch["policy_version"] == "2"
    assert first_touch["inputs"]["grade"] == "A"
    assert first_touch["policies_considered"] == [{"policy_id": "touch_any", "lost_by": None}]
    assert first_touch["explanation"]["counted_seconds"] == first_touch["explanation"]["target_seconds"] == 3600
    assert first_touch["time_left_seconds"] is None


async def test_a_lead_nobody_knows_is_a_404(harness):
    answer = await harness.http.get(f"/v1/leads/{new_id()}/sla")
    assert (answer.status_code, answer.json()["type"]) == (404, "https://leadrail.dev/problems/lead_not_found")


async def test_running_clocks_are_listed_by_time_left_page_by_page(harness):
    leads = []
    for _ in range(3):
        leads.append(await assign(harness))
        harness.clock.advance(minutes=1)
    first = (await harness.http.get("/v1/sla/clocks", params={"limit": 2})).json()
    second = (await harness.http.get("/v1/sla/clocks", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [clock["lead_id"] for clock in first["items"] + second["items"]] == leads
    assert [clock["time_left_seconds"] for clock in first["items"]] == [3420, 3480]
    assert second["next_cursor"] is None


async def test_running_clocks_are_filtered_by_state_policy_rep_and_stage(harness):
    await assign(harness, "rep-1")
    harness.clock.advance(minutes=45)
    await harness.fire_due_timers()
    other = await assign(harness, "rep-2")
    filters = [
        ({"rep": "rep-2"}, 1),
        ({"state": "at_risk"}, 1),
        ({"state": "started"}, 1),
        ({"policy": "touch_any"}, 2),
        ({"stage": "assign"}, 0),
        ({"rep": "rep-1", "state": "started"}, 0),
    ]
    found = [len((await harness.http.get("/v1/sla/clocks", params=wish)).json()["items"]) for wish, _ in filters]
    assert found == [number for _, number in filters]
    (clock,) = (await harness.http.get("/v1/sla/clocks", params={"rep": "rep-2"})).json()["items"]
    assert clock["lead_id"] == other


@pytest.mark.parametrize(
    "params",
    [
        {"state": "lost"},
        {"limit": 0},
        {"limit": 201},
        {"cursor": "nonsense"},
        {"cursor": "WyJhIiwiYiJd"},
        {"rep": "a\x00b"},
    ],
)
async def test_a_wrong_filter_is_a_problem_and_never_a_crash(harness, params):
    answer = await harness.http.get("/v1/sla/clocks", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_compliance_counts_met_breached_and_late_per_policy(harness):
    in_time, late, never = [await assign(harness) for _ in range(3)]
    harness.clock.advance(minutes=10)
    await touch(harness, in_time)
    for minutes in (35, 15):
        harness.clock.advance(minutes=minutes)
        await harness.fire_due_timers()
    harness.clock.advance(minutes=1)
    await touch(harness, late)
    lines = (await harness.http.get("/v1/sla/compliance")).json()["policies"]
    by_policy = {line["policy_id"]: line for line in lines}
    assert by_policy["assign_any"]["compliance"] == 1
    assert {name: by_policy["touch_any"][name] for name in ("started", "met", "breached", "met_late", "running")} == {
        "started": 3,
        "met": 1,
        "breached": 2,
        "met_late": 1,
        "running": 0,
    }
    assert never


@pytest.mark.parametrize(
    "params",
    [
        {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        {"start": "2020-01-01T00:00:00Z"},
        {"end": "0001-01-01T00:00:00Z", "start": "0001-01-01T00:00:00Z"},
        {"start": "2026-01-01T00:00:00"},
    ],
)
async def test_a_period_that_cannot_be_reported_is_refused(harness, params):
    assert (await harness.http.get("/v1/sla/compliance", params=params)).status_code == 422


async def test_a_preview_explains_the_deadline_of_the_shipped_policies_over_christmas(harness):
    wish = {"policy_id": "first_touch_any", "start": "2026-12-24T16:30:00Z", "version": "1"}
    answer = (await harness.http.post("/v1/sla/preview", json=wish)).json()
    assert answer["due_at"] == "2026-12-28T08:30:00Z"
    assert answer["explanation"]["segments"] == [
        {"start": "2026-12-24T16:30:00Z", "end": "2026-12-24T17:00:00Z"},
        {"start": "2026-12-28T08:00:00Z", "end": "2026-12-28T08:30:00Z"},
    ]
    assert answer["explanation"]["holidays_skipped"] == [{"day": "2026-12-25", "name": "Christmas Day"}]
    assert "Christmas Day (2026-12-25)" in answer["explanation"]["text"]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"policy_id": "nobody", "start": "2026-12-24T16:30:00Z"}, 404),
        ({"policy_id": "touch_any", "start": "2026-12-24T16:30:00Z", "version": "99"}, 404),
        ({"policy_id": "touch_any", "start": "2026-12-24T16:30:00Z", "version": "1; drop"}, 422),
        ({"policy_id": "touch_any", "start": "2026-12-24T16:30:00"}, 422),
        ({"policy_id": "touch_any", "start": "9999-12-31T23:59:59Z"}, 422),
        ({"policy_id": "touch_any"}, 422),
        ({"policy_id": "touch_any", "start": "2026-12-24T16:30:00Z", "surprise": 1}, 422),
    ],
)
async def test_a_preview_that_cannot_be_made_is_a_problem(harness, wish, status):
    answer = await harness.http.post("/v1/sla/preview", json=wish)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/leads/00000000-0000-7000-8000-000000000000/sla", "leads:read"),
        ("GET", "/v1/sla/clocks", "leads:read"),
        ("GET", "/v1/sla/compliance", "leads:read"),
        ("POST", "/v1/sla/preview", "config:plan"),
    ],
)
async def test_every_route_needs_its_scope(harness, method, path, scope):
    async with harness.http_as() as nobody, harness.http_as("ops:replay") as other, harness.http_as(scope) as right:
        assert (await nobody.request(method, path)).status_code == 401
        assert (await other.request(method, path)).status_code == 403
        assert (await right.request(method, path)).status_code not in {401, 403}


async def test_a_document_that_cannot_work_is_refused_with_pointers(harness):
    body = {"body": "stages: []\ncalendars: []\npolicies: []\n", "why": "a mistake"}
    answer = await harness.http.post("/v1/documents/sla_policies/versions", json=body)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/stages", "/calendars"}


async def test_the_census_counts_running_clocks_by_state(harness):
    await assign(harness)
    (census,) = harness.runtime.workers
    await census.run_once()
    labels = {"stage": "first_touch", "state": "started"}
    assert REGISTRY.get_sample_value("leadrail_sla_clocks", labels) == 1
