import asyncio
from datetime import datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from routing.delivery.client import AiohttpClient
from routing.delivery.lane import PREFETCH
from routing.delivery.target import AllowList
from routing.delivery.worker import DeliveryWorker
from shared.contracts import ConsentChanged
from shared.ids import new_id
from shared.testing.builders import make_cleared, make_facts


def make_case(**fields):
    return make_cleared(facts=make_facts(company_domain=None), **fields)


async def callbacks_of(harness, **filters):
    response = await harness.http.get("/v1/callbacks", params={"limit": 200, **filters})
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def test_an_assignment_reaches_the_crm_signed_and_is_recorded(routing, crm, kit):
    await kit.add_rep(routing, "ana", email="ana@example.com")
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    case = make_case()
    async with kit.delivering(routing):
        await routing.feed(case)
        (delivery,) = await crm.received(1)
    assert delivery.is_signed_with(endpoint["secret"])
    assert delivery.json["type"] == "lead.assigned"
    assert delivery.json["data"]["lead_id"] == case.lead_id
    assert delivery.json["data"]["owner"]["email"] == "ana@example.com"
    (callback,) = await callbacks_of(routing)
    assert (callback["callback_id"], callback["state"], callback["attempts"]) == (delivery.id, "delivered", 1)
    assert [(t["outcome"], t["status"]) for t in callback["tries"]] == [("delivered", 200)]


async def test_a_failed_attempt_is_repeated_with_the_same_id_and_the_same_bytes(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.status(500), kit.status(200))
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    routing.clock.advance(seconds=6)
    async with kit.delivering(routing):
        first, second = await crm.received(2)
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] < second.headers["webhook-timestamp"]
    assert second.is_signed_with(endpoint["secret"])
    (callback,) = await callbacks_of(routing)
    assert [(t["attempt"], t["outcome"], t["status"]) for t in callback["tries"]] == [
        (1, "unavailable", 500), (2, "delivered", 200),
    ]  # fmt: skip


async def test_a_running_worker_sends_a_retry_when_it_is_due(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.status(502), kit.status(204))
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await kit.failed(routing, 1)
        routing.clock.advance(seconds=6)
        await crm.received(2)
    assert [callback["state"] for callback in await callbacks_of(routing)] == ["delivered"]


@pytest.mark.parametrize(
    ("code", "headers", "outcome", "after"),
    [
        (400, {}, "refused", 5),
        (404, {}, "refused", 5),
        (301, {"Location": "http://127.0.0.1:1/elsewhere"}, "redirected", 5),
        (302, {"Location": "/other"}, "redirected", 5),
        (429, {"Retry_After": "120"}, "unavailable", 120),
        (503, {"Retry_After": "Tue, 24 Nov 2026 10:02:00 GMT"}, "unavailable", 120),
        (503, {"Retry_After": "garbage"}, "unavailable", 5),
    ],
)
async def test_anything_but_2xx_is_a_failure_with_a_next_time(routing, crm, kit, code, headers, outcome, after):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.status(code, **headers))
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    assert [delivery.path for delivery in crm.deliveries] == ["/hook"]
    (callback,) = await callbacks_of(routing)
    assert (callback["state"], callback["last_outcome"], callback["last_status"]) == ("pending", outcome, code)
    waits = datetime.fromisoformat(callback["due_at"]) - routing.clock.now()
    assert abs(waits / timedelta(seconds=after) - 1) <= 0.1


async def test_an_endpoint_that_does_not_answer_in_time_is_a_timeout(start_routing, crm, kit):
    async with start_routing(callback_timeout_seconds=0.2) as routing:
        await kit.add_rep(routing, "ana")
        await kit.add_endpoint(routing, f"{crm.url}/hook")
        crm.plan("/hook", kit.hang)
        async with kit.delivering(routing):
            await routing.feed(make_case())
            await crm.received(1)
        (callback,) = await callbacks_of(routing)
        assert (callback["state"], callback["last_outcome"], callback["last_status"]) == ("pending", "timeout", None)


async def test_an_endpoint_nobody_listens_at_is_no_connection(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, "http://127.0.0.1:1/hook")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    assert {c["last_outcome"] for c in await callbacks_of(routing)} == {"no_connection", "delivered"}


async def test_410_disables_the_endpoint_which_goes_on_collecting_until_it_is_enabled_again(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.status(410), kit.status(200))
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    url = f"/v1/endpoints/{endpoint['endpoint_id']}"
    view = (await routing.http.get(url)).json()
    assert (view["state"], view["disabled_reason"]) == ("disabled", "gone")
    audit = (await routing.http.get("/v1/audit")).json()["items"]
    assert ("endpoint.disabled", endpoint["endpoint_id"]) in [(row["action"], row["subject"]) for row in audit]
    await routing.feed(make_case())
    assert (await routing.http.patch(url, json={"state": "active"})).json()["disabled_reason"] is None
    routing.clock.advance(seconds=10)
    async with kit.delivering(routing):
        await crm.received(3)
    assert {callback["state"] for callback in await callbacks_of(routing)} == {"delivered"}


async def test_a_hanging_endpoint_does_not_hold_the_others(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hangs", max_concurrency=2)
    await kit.add_endpoint(routing, f"{crm.url}/works", max_concurrency=2)
    crm.plan("/hangs", kit.hang)
    worker = DeliveryWorker(routing.runtime)
    task = asyncio.create_task(worker.run())
    await routing.feed(*(make_case() for _ in range(60)))
    assert len(await crm.received(60, "/works")) == 60
    assert len([delivery for delivery in crm.deliveries if delivery.path == "/hangs"]) <= 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_circuit_opens_for_an_endpoint_that_is_down_and_a_trial_closes_it(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook", max_concurrency=1)
    crm.plan("/hook", *[kit.status(503)] * 5, kit.status(200))
    async with kit.delivering(routing):
        await routing.feed(*(make_case() for _ in range(12)))
        await kit.failed(routing, 5)
        assert len(crm.deliveries) == 5
        routing.clock.advance(seconds=11)
        await crm.received(17)
    assert {callback["state"] for callback in await callbacks_of(routing)} == {"delivered"}


async def test_a_response_longer_than_64_kb_is_not_read_to_its_end(crm, kit, routing):
    crm.plan("/hook", kit.flood)
    client = AiohttpClient(AllowList.parse("127.0.0.0/8"), routing.clock, timeout_seconds=5, connections=1)
    try:
        reply = await client.send(f"{crm.url}/hook", {}, b"{}")
    finally:
        await client.close()
    assert (reply.outcome, reply.status) == ("delivered", 200)


async def test_a_target_that_is_no_longer_allowed_is_refused_before_any_connection(crm, routing):
    client = AiohttpClient(AllowList(), routing.clock, timeout_seconds=5, connections=1)
    try:
        by_address = await client.send(f"{crm.url}/hook", {}, b"{}")
        by_name = await client.send(
            f"{crm.url}/hook".replace("127.0.0.1", "localhost").replace("http:", "https:"), {}, b""
        )
    finally:
        await client.close()
    assert (by_address.outcome, by_name.outcome) == ("target_refused", "target_refused")
    assert crm.deliveries == []


async def test_a_name_that_points_inside_once_it_was_accepted_is_not_connected_to(routing, crm, kit, monkeypatch):
    loop, addresses = asyncio.get_running_loop(), {"crm.example.com": "93.184.215.14"}
    look_up = loop.getaddrinfo

    async def answer(host, port, **options) -> object:
        return await look_up(addresses.get(host, host), port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", answer)
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, crm.url.replace("http://127.0.0.1", "https://crm.example.com") + "/hook")
    addresses["crm.example.com"] = "10.0.0.7"
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await kit.failed(routing, 1)
    (callback,) = await callbacks_of(routing)
    assert (callback["state"], callback["last_outcome"], crm.deliveries) == ("pending", "target_refused", [])


async def test_a_crash_between_post_and_recording_sends_the_same_id_and_body_again(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.hang, kit.status(200))
    crashing = DeliveryWorker(routing.runtime)
    task = asyncio.create_task(crashing.run())
    await routing.feed(make_case())
    await crm.received(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with kit.delivering(routing):
        routing.clock.advance(seconds=61)
        first, again = await crm.received(2)
    assert (first.id, first.body) == (again.id, again.body)
    (callback,) = await callbacks_of(routing)
    assert (callback["state"], callback["attempts"]) == ("delivered", 2)


class StuckConnection:
    """A connection of a database too busy to say goodbye."""

    def __init__(self) -> None:
        self.is_listening = asyncio.Event()

    async def add_listener(self, *_: object) -> None:
        self.is_listening.set()

    def add_termination_listener(self, _: object) -> None:
        pass

    async def close(self, *, timeout: float) -> None:  # noqa: ARG002, ASYNC109 - as asyncpg has it
        raise TimeoutError


async def test_a_database_too_busy_to_say_goodbye_does_not_hold_the_shutdown(routing, monkeypatch):
    connection = StuckConnection()

    async def dedicated() -> StuckConnection:
        return connection

    monkeypatch.setattr(routing.runtime.database, "dedicated", dedicated)
    worker = DeliveryWorker(routing.runtime)
    task = asyncio.create_task(worker.run())
    await connection.is_listening.wait()
    await worker.drain()
    await asyncio.wait_for(task, 10)


async def test_two_workers_send_each_callback_once(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook", max_concurrency=8)
    async with kit.delivering(routing), kit.delivering(routing):
        await routing.feed(*(make_case() for _ in range(150)))
        await crm.received(150)
    assert len(crm.deliveries) == 150
    assert len({delivery.id for delivery in crm.deliveries}) == 150


async def test_more_than_one_claim_is_delivered_without_a_new_wake(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook", max_concurrency=4)
    await routing.feed(*(make_case() for _ in range(2 * PREFETCH + 50)))
    async with kit.delivering(routing):
        await crm.received(2 * PREFETCH + 50)
    rows = await routing.fetch("SELECT state, count(*) FROM callback GROUP BY state")
    assert [tuple(row) for row in rows] == [("delivered", 2 * PREFETCH + 50)]


async def test_rotation_signs_with_both_secrets_until_the_old_one_is_revoked(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    old = await kit.add_endpoint(routing, f"{crm.url}/hook")
    url = f"/v1/endpoints/{old['endpoint_id']}/secrets"
    new = (await routing.http.post(url)).json()
    async with kit.delivering(routing):
        await routing.feed(make_case())
        (both,) = await crm.received(1)
    assert both.is_signed_with(old["secret"])
    assert both.is_signed_with(new["secret"])
    assert (await routing.http.delete(f"{url}/{old['secrets'][0]['secret_id']}")).status_code == 204
    async with kit.delivering(routing):
        await routing.feed(make_case())
        latest = (await crm.received(2))[1]
    assert not latest.is_signed_with(old["secret"])
    assert latest.is_signed_with(new["secret"])


def acknowledged() -> float:
    return REGISTRY.get_sample_value("leadrail_speed_to_lead_seconds_count", {"stage": "acknowledged"}) or 0.0


async def test_the_first_acknowledgement_counts_for_speed_to_lead_once(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    for path in ("a", "b", "c"):
        await kit.add_endpoint(routing, f"{crm.url}/{path}")
    before = acknowledged()
    crm.plan("/c", kit.status(500), kit.status(200))
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(3)
    routing.clock.advance(seconds=6)
    async with kit.delivering(routing):
        await crm.received(4)
    assert acknowledged() - before == 1


def withdrawn(case, at: datetime, **fields) -> ConsentChanged:
    values = {
        "record_id": new_id(), "state": "withdrawn", "purposes": ("sales_contact",), "channels": ("email",),
        "changed_at": at, "may_contact": False, "method": "api",
    }  # fmt: skip
    return ConsentChanged(lead_id=case.lead_id, **{**values, **fields})


async def test_a_withdrawal_cancels_what_is_undelivered_and_tells_the_crm(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    case = make_case()
    await routing.feed(case)
    await routing.feed(withdrawn(case, routing.clock.now()))
    async with kit.delivering(routing):
        (delivery,) = await crm.received(1)
    assert delivery.json["type"] == "consent.withdrawn"
    assert delivery.json["data"]["lead_id"] == case.lead_id
    assert b"dana" not in delivery.body.lower()
    states = {callback["event_type"]: callback["state"] for callback in await callbacks_of(routing)}
    assert states == {"lead.assigned": "cancelled", "consent.withdrawn": "delivered"}


async def test_nobody_can_send_a_lead_again_whose_consent_was_withdrawn(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    case = make_case()
    async with kit.delivering(routing):
        await routing.feed(case)
        (delivery,) = await crm.received(1)
    await routing.feed(withdrawn(case, routing.clock.now()))
    assert (await routing.http.post(f"/v1/callbacks/{delivery.id}/resend")).status_code == 409
    replay = {"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "states": ["delivered", "failed"],
              "why": "the CRM lost a day"}  # fmt: skip
    answer = await routing.http.post(f"/v1/endpoints/{endpoint['endpoint_id']}/replay", json=replay)
    assert (answer.status_code, answer.json()) == (202, {"callbacks": 0})


async def test_resend_and_replay_send_the_same_id_and_body(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    endpoint = await kit.add_endpoint(routing, f"{crm.url}/hook")
    async with kit.delivering(routing):
        await routing.feed(make_case())
        (delivery,) = await crm.received(1)
    assert (await routing.http.post(f"/v1/callbacks/{delivery.id}/resend")).status_code == 202
    async with kit.delivering(routing):
        await crm.received(2)
    replay = {"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "states": ["delivered"],
              "why": "the CRM lost a day"}  # fmt: skip
    answer = await routing.http.post(f"/v1/endpoints/{endpoint['endpoint_id']}/replay", json=replay)
    assert answer.json() == {"callbacks": 1}
    async with kit.delivering(routing):
        await crm.received(3)
    assert {(sent.id, sent.body) for sent in crm.deliveries} == {(delivery.id, delivery.body)}


async def test_the_schedule_ends_after_eight_attempts_and_the_callback_waits_for_a_person(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    await kit.add_endpoint(routing, f"{crm.url}/hook")
    crm.plan("/hook", kit.status(400))
    await routing.feed(make_case())
    for attempt in range(1, 9):
        async with kit.delivering(routing):
            await crm.received(attempt)
        routing.clock.advance(hours=12)
    (callback,) = await callbacks_of(routing)
    assert (callback["state"], callback["attempts"], callback["due_at"]) == ("failed", 8, None)
    assert len(callback["tries"]) == 8


async def test_an_endpoint_whose_secret_cannot_be_opened_waits_and_holds_nobody(routing, crm, kit):
    await kit.add_rep(routing, "ana")
    broken = await kit.add_endpoint(routing, f"{crm.url}/broken")
    await kit.add_endpoint(routing, f"{crm.url}/works")
    await routing.fetch(
        "UPDATE endpoint_secret SET sealed = $1 WHERE endpoint_id = $2", b"x" * 40, broken["endpoint_id"]
    )
    async with kit.delivering(routing):
        await routing.feed(make_case())
        await crm.received(1)
    assert [delivery.path for delivery in crm.deliveries] == ["/works"]
    (waiting,) = await callbacks_of(routing, endpoint_id=broken["endpoint_id"])
    assert (waiting["state"], waiting["attempts"]) == ("pending", 0)
