from typing import Any

import pytest

from routing.delivery.store import _CLAIM, _NEXT_DUE
from routing.tables import METADATA
from shared.contracts import LeadAssigned, LeadReassigned
from shared.ids import new_id
from shared.testing.builders import NOON, make_cleared, make_facts, make_lead, make_origin


def make_case(**fields):
    return make_cleared(facts=make_facts(company_domain=None), **fields)


def pointers(response) -> set[str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return {error["pointer"] for error in response.json()["errors"]}


async def audit_of(harness, subject: str) -> list[dict[str, Any]]:
    items = (await harness.http.get("/v1/audit")).json()["items"]
    return [item for item in items if item["subject"] == subject]


async def pages(client, url: str, **params) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        query = {**params, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(url, params=query)).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


async def test_a_rep_is_created_read_changed_and_removed_with_an_audit(routing, kit):
    hours = {"mon": [["09:00", "12:30"], ["13:30", "18:00"]]}
    off = [{"first_day": "2026-12-24", "last_day": "2026-12-26"}]
    created = await kit.add_rep(
        routing,
        "ana",
        email="ana@example.com",
        time_zone="Europe/Berlin",
        working_hours=hours,
        time_off=off,
        max_open=9,
    )
    assert (created["working_hours"], created["time_off"], created["absence"]) == (hours, off, "outside_working_hours")
    changed = await routing.http.patch(
        "/v1/reps/ana", json={"max_open": None, "working_hours": None, "why": "new plan"}
    )
    assert (changed.json()["max_open"], changed.json()["working_hours"], changed.json()["absence"]) == (
        None,
        None,
        None,
    )
    assert changed.json()["time_off"] == off
    assert (await routing.http.delete("/v1/reps/ana")).status_code == 204
    assert (await routing.http.get("/v1/reps/ana")).status_code == 404
    rows = await audit_of(routing, "ana")
    assert {row["action"] for row in rows} == {"rep.created", "rep.changed", "rep.removed"}
    assert "ana@example.com" not in str(rows)


async def test_a_rep_without_an_id_gets_one_and_an_id_is_never_given_twice(routing, kit):
    made = await routing.http.post("/v1/reps", json={"name": "Zoe", "team": "emea"})
    assert made.headers["location"] == f"/v1/reps/{made.json()['rep_id']}"
    await kit.add_rep(routing, "ana")
    await routing.http.delete("/v1/reps/ana")
    again = await routing.http.post("/v1/reps", json={"rep_id": "ana", "name": "Other", "team": "emea"})
    assert (again.status_code, pointers(again)) == (409, {"/rep_id"})


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone"),
        ({"working_hours": {"mon": [["18:00", "09:00"]]}}, "/working_hours"),
        ({"working_hours": {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]}}, "/working_hours"),
        ({"working_hours": {"mon": [["09:00", "25:00"]]}}, "/working_hours/mon/0/1"),
        ({"working_hours": {"moonday": []}}, "/working_hours/moonday/[key]"),
        ({"time_off": [{"first_day": "2026-12-26", "last_day": "2026-12-24"}]}, "/time_off/0"),
        ({"max_open": -1}, "/max_open"),
        ({"max_per_day": 1.5}, "/max_per_day"),
        ({"email": "no address"}, "/email"),
        ({"name": "A\x00na"}, "/name"),
        ({"name": ""}, "/name"),
        ({"team": "Team With Spaces"}, "/team"),
        ({"rep_id": "UPPER"}, "/rep_id"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_a_rep_that_makes_no_sense_is_answered_with_the_field(routing, fields, pointer):
    response = await routing.http.post("/v1/reps", json={"name": "Ana", "team": "emea", **fields})
    assert (response.status_code, pointers(response)) == (422, {pointer})


async def test_null_is_refused_where_it_means_nothing(routing, kit):
    await kit.add_rep(routing, "ana")
    response = await routing.http.patch("/v1/reps/ana", json={"team": None, "time_zone": None})
    assert (response.status_code, pointers(response)) == (422, {"/team", "/time_zone"})


async def test_reps_come_in_pages_and_by_team(routing, kit):
    for number in range(5):
        await kit.add_rep(routing, f"rep-{number}", team="emea" if number % 2 else "apac")
    assert [rep["rep_id"] for rep in await pages(routing.http, "/v1/reps", limit=2)] == [f"rep-{n}" for n in range(5)]
    assert [rep["rep_id"] for rep in await pages(routing.http, "/v1/reps", team="emea")] == ["rep-1", "rep-3"]


async def test_a_person_assigns_a_waiting_lead_with_a_reason_that_is_audited(routing):
    case = make_case()
    await routing.feed(case)
    await routing.http.post("/v1/reps", json={"rep_id": "eve", "name": "Eve", "team": "desk", "max_open": 0})
    url = f"/v1/leads/{case.lead_id}/assignment"
    response = await routing.http.post(url, json={"rep_id": "eve", "why": "knows the customer"})
    assert (response.status_code, response.json()["rep_id"], response.json()["via"]) == (200, "eve", "person")
    (event,) = await routing.published()
    assert isinstance(event, LeadAssigned)
    assert event.owner.rep_id == "eve"
    (row,) = await audit_of(routing, case.lead_id)
    assert (row["action"], row["why"], row["after"]) == ("lead.assigned", "knows the customer", {"rep_id": "eve"})
    assert (await routing.http.get("/v1/fallback-queue")).json()["items"] == []


async def test_a_person_moves_a_lead_and_giving_it_again_changes_nothing(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob", team="other")
    (assigned,) = await routing.feed(make_case())
    url = f"/v1/leads/{assigned.lead_id}/assignment"
    first = await routing.http.post(url, json={"rep_id": "bob", "why": "speaks Finnish"})
    second = await routing.http.post(url, json={"rep_id": "bob", "why": "speaks Finnish"})
    assert first.json() == second.json()
    (event,) = await routing.published()
    assert isinstance(event, LeadReassigned)
    assert (event.previous_rep_id, event.owner.rep_id, event.reason) == ("ana", "bob", "person")
    loads = {rep["rep_id"]: rep["open_leads"] for rep in (await routing.http.get("/v1/reps")).json()["items"]}
    assert loads == {"ana": 0, "bob": 1}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"rep_id": "nobody", "why": "because"}, 422, "rep_not_found"),
        ({"rep_id": "ana"}, 422, "invalid_request"),
        ({"rep_id": "ana", "why": "x"}, 422, "invalid_request"),
        ({"rep_id": "ana", "why": "because"}, 404, "lead_not_found"),
    ],
)
async def test_an_assignment_that_cannot_be_is_a_problem(routing, kit, body, status, code):
    await kit.add_rep(routing, "ana")
    response = await routing.http.post(f"/v1/leads/{new_id()}/assignment", json=body)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (status, code)


async def test_nobody_assigns_a_lead_whose_consent_was_withdrawn(routing, kit):
    await kit.add_rep(routing, "ana")
    case = make_case()
    await routing.feed(case)
    await routing.fetch("UPDATE lead SET blocked_at = decided_at RETURNING 1")
    response = await routing.http.post(f"/v1/leads/{case.lead_id}/assignment", json={"rep_id": "ana", "why": "please"})
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "consent_withdrawn")


async def test_assignments_are_filtered_and_paged(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob", team="americas")
    german = [make_case(origin=make_origin(source_key="expo")) for _ in range(5)]
    american = [make_case(lead=make_lead(country="US")) for _ in range(3)]
    await routing.feed(*german, *american)
    everything = await pages(routing.http, "/v1/assignments", limit=3)
    assert len({item["assignment_id"] for item in everything}) == 8

    async def count(**filters) -> int:
        return len(await pages(routing.http, "/v1/assignments", **filters))

    assert await count(rep_id="ana") == 5
    assert await count(team="americas") == 3
    assert await count(pool="emea", source_key="expo") == 5
    assert await count(state="open") == 8
    assert await count(state="ended") == 0
    assert await count(since="2026-11-24T10:00:01Z") == 0
    assert await count(since="2026-11-24T11:00:00+01:00") == 8


async def test_the_fallback_queue_comes_in_pages_longest_waiting_first(routing):
    cases = []
    for _ in range(5):
        cases.append(make_case())
        await routing.feed(cases[-1])
        routing.clock.advance(seconds=1)
    items = await pages(routing.http, "/v1/fallback-queue", limit=2)
    assert [item["lead_id"] for item in items] == [case.lead_id for case in cases]


@pytest.mark.parametrize("url", ["/v1/assignments", "/v1/fallback-queue", "/v1/callbacks", "/v1/endpoints"])
@pytest.mark.parametrize("cursor", ["nonsense", "WyJ4Il0", "WyJ4IiwieSJd", "%00"])
async def test_a_cursor_of_somebody_else_is_a_422(routing, url, cursor):
    response = await routing.http.get(url, params={"cursor": cursor})
    assert (response.status_code, pointers(response)) == (422, {"query:/cursor"})


async def test_a_lead_routing_never_heard_of_is_a_404(routing):
    assert (await routing.http.get(f"/v1/leads/{new_id()}/routing")).status_code == 404
    assert (await routing.http.get("/v1/leads/not-an-id/routing")).status_code == 422


async def test_a_secret_is_shown_once_and_stored_sealed(routing, crm, kit):
    made = await kit.add_endpoint(routing, f"{crm.url}/hook?token=t0ken")
    view = (await routing.http.get(f"/v1/endpoints/{made['endpoint_id']}")).json()
    assert made["secret"].startswith("whsec_")
    assert "secret" not in view
    (row,) = await routing.fetch("SELECT sealed FROM endpoint_secret")
    assert made["secret"].removeprefix("whsec_").encode() not in row["sealed"]
    audit = str(await audit_of(routing, made["endpoint_id"]))
    assert made["secret"] not in audit
    assert "t0ken" not in audit


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://10.0.0.1/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "https://user:pw@example.com/",
        "ftp://example.com/hook",
        "https://does-not-exist.invalid/hook",
    ],
)
async def test_a_url_callbacks_must_not_go_to_is_a_clear_422(routing, crm, kit, url):
    response = await routing.http.post("/v1/endpoints", json={"url": url, "events": ["lead.assigned"]})
    assert (response.status_code, pointers(response)) == (422, {"/url"})
    made = await kit.add_endpoint(routing, f"{crm.url}/hook")
    changed = await routing.http.patch(f"/v1/endpoints/{made['endpoint_id']}", json={"url": url})
    assert (changed.status_code, pointers(changed)) == (422, {"/url"})


async def test_without_an_allow_list_loopback_is_refused(start_routing, crm):
    async with start_routing(allowed_private_targets="") as routing:
        response = await routing.http.post("/v1/endpoints", json={"url": crm.url + "/", "events": ["lead.assigned"]})
    assert (response.status_code, pointers(response)) == (422, {"/url"})


async def test_an_endpoint_gets_only_the_events_it_asked_for(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await routing.http.post("/v1/endpoints", json={"url": f"{crm.url}/a", "events": ["consent.withdrawn"]})
    await routing.http.post("/v1/endpoints", json={"url": f"{crm.url}/b", "events": ["lead.assigned"]})
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    assert [delivery.path for delivery in crm.deliveries] == ["/b"]


async def test_a_removed_endpoint_cancels_what_waits_for_it(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    made = await kit.add_endpoint(routing, f"{crm.url}/hook")
    await routing.feed(make_case())
    assert (await routing.http.delete(f"/v1/endpoints/{made['endpoint_id']}")).status_code == 204
    assert (await routing.http.get(f"/v1/endpoints/{made['endpoint_id']}")).status_code == 404
    assert [c["state"] for c in (await routing.http.get("/v1/callbacks")).json()["items"]] == ["cancelled"]


async def test_the_last_secret_cannot_be_revoked(routing, crm, kit):
    made = await kit.add_endpoint(routing, f"{crm.url}/hook")
    url = f"/v1/endpoints/{made['endpoint_id']}/secrets"
    assert (await routing.http.delete(f"{url}/{made['secrets'][0]['secret_id']}")).status_code == 409
    assert (await routing.http.delete(f"{url}/{new_id()}")).status_code == 404
    secrets = [(await routing.http.post(url)).json()["secrets"] for _ in range(3)]
    assert [len(active) for active in secrets] == [2, 2, 2]


async def test_callbacks_are_filtered_and_paged(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    made = await kit.add_endpoint(routing, f"{crm.url}/hook")
    cases = [make_case() for _ in range(5)]
    await routing.feed(*cases)
    assert len(await pages(routing.http, "/v1/callbacks", limit=2)) == 5
    assert len(await pages(routing.http, "/v1/callbacks", lead_id=cases[0].lead_id)) == 1
    assert len(await pages(routing.http, "/v1/callbacks", endpoint_id=made["endpoint_id"], state="pending")) == 5
    assert len(await pages(routing.http, "/v1/callbacks", event_type="consent.withdrawn")) == 0
    assert len(await pages(routing.http, "/v1/callbacks", since="2026-11-24T10:00:01Z")) == 0


async def test_a_callback_that_does_not_exist_is_a_404(routing):
    assert (await routing.http.post(f"/v1/callbacks/{new_id()}/resend")).status_code == 404
    body = {"since": "2026-01-01T00:00:00Z", "why": "lost a day"}
    assert (await routing.http.post(f"/v1/endpoints/{new_id()}/replay", json=body)).status_code == 404


async def test_every_route_needs_a_key_with_its_scope(routing):
    document = (await routing.http.get("/openapi.json")).json()
    routes = [(method, path) for path, item in document["paths"].items() for method in item if path.startswith("/v1/")]
    assert len(routes) > 20
    async with routing.http_as() as nobody, routing.http_as("ingest:write") as stranger:
        for method, path in routes:
            url = path.replace("{", "").replace("}", "")
            assert (await nobody.request(method, url)).status_code == 401, (method, path)
            assert (await stranger.request(method, url)).status_code == 403, (method, path)


MANY_CALLBACKS = """
    INSERT INTO callback (callback_id, endpoint_id, lead_id, event_type, body, copies, created_at, state, due_at)
    SELECT uuidv7(), '01a20cdb-0000-7000-8000-000000000001', uuidv7(), 'lead.assigned', '', 1, $1,
           CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'delivered' END, $1
    FROM generate_series(1, 20000) AS n
"""


async def test_claims_use_the_index_of_pending_callbacks(routing):
    endpoint_ids = ["01a20cdb-0000-7000-8000-000000000001"]
    async with routing.runtime.database.transaction() as sql:
        await sql.execute(MANY_CALLBACKS, NOON)
        await sql.execute("ANALYZE callback")
        claim = await sql.fetch("EXPLAIN " + _CLAIM, endpoint_ids, [10], NOON, NOON)
        next_due = await sql.fetch("EXPLAIN " + _NEXT_DUE, endpoint_ids)
    for plan in (claim, next_due):
        assert "callback_due" in "\n".join(row[0] for row in plan)


async def test_the_migration_makes_the_tables_that_the_code_describes(routing):
    rows = await routing.fetch(
        "SELECT table_name, column_name, is_nullable = 'YES' AS is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'routing' AND table_name = ANY($1)",
        list(METADATA.tables),
    )
    described = {(t.name, c.name, c.nullable) for t in METADATA.tables.values() for c in t.columns}
    assert {tuple(row) for row in rows} == described
    indexes = {row["indexname"] for row in await routing.fetch("SELECT indexname FROM pg_indexes")}
    assert {index.name for t in METADATA.tables.values() for index in t.indexes} <= indexes
