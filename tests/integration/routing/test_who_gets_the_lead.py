"""What a sales manager changes through the API decides about the very next lead."""

import pytest

from shared.contracts import LeadAssigned, LeadReassigned
from shared.ids import new_id
from shared.testing.builders import make_cleared, make_facts


def make_case(**fields):
    return make_cleared(facts=make_facts(company_domain=None), **fields)


async def owners(harness, count: int) -> list[str]:
    found = []
    for _ in range(count):
        (event,) = await harness.feed(make_case())
        found.append(event.owner.rep_id if isinstance(event, LeadAssigned) else event.reason)
    return found


async def change(harness, rep_id: str, **fields) -> None:
    response = await harness.http.patch(f"/v1/reps/{rep_id}", json=fields)
    assert response.status_code == 200, response.text


async def lost_because(harness) -> dict[str, str]:
    (latest,) = (await harness.http.get("/v1/assignments", params={"limit": 1})).json()["items"]
    trace = (await harness.http.get(f"/v1/decisions/{latest['decision_id']}")).json()["trace"]
    return {member["rep_id"]: member["lost_because"] for member in trace["members"] if member.get("lost_because")}


async def test_a_cap_set_through_the_api_sends_the_rest_to_the_others(routing, kit):
    await kit.add_rep(routing, "ana", max_open=1)
    await kit.add_rep(routing, "bob")
    assert sorted(await owners(routing, 4)) == ["ana", "bob", "bob", "bob"]
    assert await lost_because(routing) == {"ana": "open_cap_reached"}
    await change(routing, "ana", max_open=None)
    assert "ana" in await owners(routing, 2)


async def test_a_daily_cap_is_free_again_on_the_next_day_of_the_rep(routing, kit):
    await kit.add_rep(routing, "ana", max_per_day=1, time_zone="Pacific/Kiritimati")
    assert await owners(routing, 2) == ["ana", "fallback_queue"]
    routing.clock.advance(hours=1)  # 10:00 UTC was midnight there: still the same day
    assert await owners(routing, 1) == ["fallback_queue"]
    routing.clock.advance(hours=23)
    assert await owners(routing, 1) == ["ana"]


async def test_working_hours_and_time_off_decide_who_gets_the_next_lead(routing, kit):
    await kit.add_rep(routing, "ana", time_zone="Europe/Berlin")
    await kit.add_rep(routing, "bob")
    await change(routing, "ana", working_hours={"tue": [["12:00", "18:00"]]})  # it is Tuesday, 11:00 in Berlin
    assert await owners(routing, 3) == ["bob"] * 3
    assert await lost_because(routing) == {"ana": "outside_working_hours"}
    routing.clock.advance(hours=1)
    assert "ana" in await owners(routing, 2)
    await change(routing, "ana", time_off=[{"first_day": "2026-11-24", "last_day": "2026-11-24"}])
    assert await owners(routing, 3) == ["bob"] * 3
    assert await lost_because(routing) == {"ana": "time_off"}


async def test_a_paused_rep_gets_nothing_by_turn_nor_by_hand(routing, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_rep(routing, "bob")
    await change(routing, "ana", is_paused=True)
    assert await owners(routing, 3) == ["bob"] * 3
    (lead, *_) = (await routing.http.get("/v1/assignments")).json()["items"]
    body = {"rep_id": "ana", "why": "knows the customer"}
    response = await routing.http.post(f"/v1/leads/{lead['lead_id']}/assignment", json=body)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (409, "rep_paused")
    assert response.json()["errors"][0]["pointer"] == "/rep_id"


async def test_a_lead_whose_owner_left_goes_to_somebody_who_is_there(routing, kit):
    await kit.add_rep(routing, "ana")
    case = make_case()
    await routing.feed(case)
    await kit.add_rep(routing, "bob")
    await routing.http.delete("/v1/reps/ana")
    (event,) = await routing.feed(make_case(lead_id=case.lead_id))
    assert isinstance(event, LeadReassigned)
    assert (event.previous_rep_id, event.owner.rep_id, event.reason) == ("ana", "bob", "owner_left")


async def test_a_lead_whose_owner_left_stays_if_nobody_else_is_there(routing, kit):
    await kit.add_rep(routing, "ana")
    case = make_case()
    await routing.feed(case)
    await routing.http.delete("/v1/reps/ana")
    (event,) = await routing.feed(make_case(lead_id=case.lead_id))
    assert (event.type.split(".")[2], event.owner.rep_id) == ("retained", "ana")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_instant_nobody_can_store_is_a_422_that_names_the_field(routing, crm, kit, at):
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    listed = [await routing.http.get(url, params={"since": at}) for url in ("/v1/assignments", "/v1/callbacks")]
    body = {"since": at, "why": "lost a day"}
    replayed = await routing.http.post(f"/v1/endpoints/{endpoint['endpoint_id']}/replay", json=body)
    assert [answer.status_code for answer in (*listed, replayed)] == [422] * 3
    assert [answer.json()["errors"][0]["pointer"] for answer in (*listed, replayed)] == ["query:/since"] * 2 + [
        "/since"
    ]


async def test_an_endpoint_or_rep_sent_twice_with_one_key_is_made_once(routing, crm):
    headers = {"Idempotency-Key": new_id()}
    endpoint = {"url": f"{crm.url}/hook", "events": ["lead.assigned"]}
    for url, body in (("/v1/endpoints", endpoint), ("/v1/reps", {"name": "Zoe", "team": "emea"})):
        answers = [await routing.http.post(url, json=body, headers=headers) for _ in range(2)]
        other = await routing.http.post(url, json={**body, "surprise": 1}, headers=headers)
        assert (answers[0].status_code, answers[0].text) == (201, answers[1].text)
        assert answers[1].headers["location"] == answers[0].headers["location"]
        assert other.status_code == 422
        assert len((await routing.http.get(url)).json()["items"]) == 1


@pytest.mark.parametrize("name", ["Ana\nBcc: x", "Ana\u202eanA", "Ana\u2028"])
async def test_a_name_that_would_break_a_field_of_the_crm_is_refused(routing, name):
    response = await routing.http.post("/v1/reps", json={"name": name, "team": "emea"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/name")
