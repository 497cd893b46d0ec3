"""After the assignment: consent withdrawn ends it everywhere, a missed deadline moves it, a first touch meets it."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from local_stack.blocking import run_blocking
from local_stack.load.people import Person
from local_stack.load.setup import source_key

from .evidence import rows, settle, until
from .installation import Installation
from .policies import apply_policies
from .traffic import Promise, Traffic
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

# Two kinds of sources stand for two kinds of leads: nobody waits for the one, the other has time to be called.
HASTY, PATIENT = "typeform", "standard_webhooks"
POLICIES = f"""
stages:
  - {{id: assign, starts_with: capture}}
  - {{id: first_touch, starts_with: owner, met_by: [first_touch, meeting]}}
calendars:
  - {{id: always, always_open: true}}
policies:
  - {{id: assign_any, stage: assign, calendar: always, target: 10m}}
  - id: hasty
    stage: first_touch
    when: {{source_key: [{source_key(HASTY)}]}}
    calendar: always
    starts_at: assigned
    target: 2s
    at_risk: {{fraction: 0.5}}
    on_breach: {{action: reassign, max_reassignments: 1}}
  - {{id: patient, stage: first_touch, calendar: always, starts_at: assigned, target: 30m}}
"""
STATEMENT = {
    "purposes": ["sales_contact"],
    "channels": ["email", "phone", "sms"],
    "method": "phone_call",
    "why": "asked to be left alone",
}


@pytest.fixture(scope="module", autouse=True)
def policies(installation: Installation) -> None:
    run_blocking(apply_policies(installation, POLICIES))


class Lead:
    """One lead, seen through the services' routes."""

    def __init__(self, installation: Installation, api: httpx.AsyncClient, promise: Promise) -> None:
        assert promise.lead_id is not None
        self.id = promise.lead_id
        self.record_id = promise.record_id
        self._installation = installation
        self._api = api

    def url(self, service: str, part: str) -> str:
        return f"{self._installation.urls[service]}/v1/leads/{self.id}/{part}"

    async def get(self, service: str, part: str) -> Mapping[str, Any]:
        answer = await self._api.get(self.url(service, part))
        return {} if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status().json()

    async def owner(self) -> Mapping[str, Any] | None:
        return (await self.get("routing", "routing")).get("owner")

    async def clocks(self, stage: str = "first_touch") -> list[Mapping[str, Any]]:
        """Return the clocks of *stage*, the oldest first."""
        clocks = (await self.get("sla-monitor", "sla")).get("clocks", [])
        return [clock for clock in reversed(clocks) if clock["stage"] == stage]

    async def callback_types(self) -> list[str]:
        """Return what the CRM was told about the lead, in the order in which it was told."""
        told = self._installation.read_callbacks()
        return [one["body"]["type"] for one in told if one["body"]["data"]["lead_id"] == self.id]

    async def record_state(self) -> str:
        found = await rows(
            self._installation, "SELECT state FROM ingest.record WHERE record_id = $1::uuid", self.record_id
        )
        return str(found[0]["state"])

    async def assigned(self) -> Mapping[str, Any]:
        """Return the owner once there is one, its clock runs, and the CRM knows."""

        async def missing() -> list[str]:
            return [
                *([] if await self.owner() else ["an owner"]),
                *([] if await self.clocks() else ["a clock of the first touch"]),
                *([] if "lead.assigned" in await self.callback_types() else ["a callback"]),
            ]

        await until("the lead is assigned", missing)
        owner = await self.owner()
        assert owner is not None
        return owner


def good_lead(traffic: Traffic, population: str) -> Person:
    """Return somebody of a US company whom the shipped rules clear and send to one of two reps."""
    for _ in range(200):
        person = traffic.person(population)
        if (
            person.country == "US"
            and person.has_consented
            and person.title == "VP Sales"
            and person.employees != "1001-5000"
        ):
            return person
    pytest.fail("nobody of this population is a good lead")


async def test_withdrawal_after_assignment_ends_it_stops_the_clock_and_reaches_the_crm(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    lead = Lead(installation, api, await traffic.send(PATIENT, good_lead(traffic, "withdrawing")))
    owner = await lead.assigned()
    answer = await api.post(lead.url("consent", "consent/withdrawals"), json=STATEMENT)
    assert (answer.status_code, answer.json()["may_contact"]) == (httpx.codes.CREATED, False), answer.text

    async def missing() -> list[str]:
        return [
            *(["the end of the assignment"] if await lead.owner() else []),
            *([] if "consent.withdrawn" in await lead.callback_types() else ["consent.withdrawn at the CRM"]),
            *([] if [clock["state"] for clock in await lead.clocks()] == ["cancelled"] else ["the clock's end"]),
            *([] if await lead.record_state() in {"withheld", "unassigned"} else ["the ledger's move"]),
        ]

    await until("the withdrawal is everywhere", missing)
    assert await lead.callback_types() == ["lead.assigned", "consent.withdrawn"]
    [told] = [
        one["body"]["data"] for one in installation.read_callbacks() if one["body"]["type"] == "consent.withdrawn"
    ]
    assert (told["lead_id"], told["assignment_id"], told["may_contact"]) == (lead.id, owner["assignment_id"], False)
    [ended] = (await lead.get("routing", "routing"))["history"]
    assert ended["end_reason"] == "consent_withdrawn"
    ledger = (await api.get(f"{installation.urls['ingest']}/v1/ledger", params={"verify": True})).json()
    assert ledger["balanced"]
    assert await lead.record_state() == "withheld", "the ledger shows why nobody has the lead"


async def test_missed_deadline_moves_the_lead_to_another_rep_once(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    lead = Lead(installation, api, await traffic.send(HASTY, good_lead(traffic, "missed")))

    async def missing() -> list[str]:
        states = [clock["state"] for clock in await lead.clocks()]
        return [
            *([] if states == ["breached", "breached"] else [f"two breaches: {states}"]),
            *([] if "lead.reassigned" in await lead.callback_types() else ["lead.reassigned at the CRM"]),
        ]

    await until("the lead moves on, and its second deadline passes too", missing)
    second, first = (await lead.get("routing", "routing"))["history"]
    assert (first["state"], second["state"]) == ("ended", "open")
    assert (first["end_reason"], first["rep_id"] != second["rep_id"]) == ("sla:hasty:first_touch", True)
    before, after = await lead.clocks()
    assert (before["assignment_id"], after["assignment_id"]) == (first["assignment_id"], second["assignment_id"])
    assert [change["state"] for change in before["history"]] == ["started", "at_risk", "breached"]
    assert [clock["history"][-1]["action"] for clock in (before, after)] == ["reassign", "notify"], (
        "one move is allowed"
    )
    assert (await lead.callback_types()).count("lead.reassigned") == 1
    assert await lead.record_state() == "assigned"


async def test_first_touch_reported_by_the_crm_meets_the_deadline(
    installation: Installation, traffic: Traffic, api: httpx.AsyncClient
) -> None:
    lead = Lead(installation, api, await traffic.send(PATIENT, good_lead(traffic, "called")))
    owner = await lead.assigned()
    touch = {"kind": "first_touch", "detail": {"channel": "phone"}}
    headers = {"idempotency-key": "touch-1"}
    for status, is_twin in ((httpx.codes.CREATED, False), (httpx.codes.CREATED, True)):
        answer = await api.post(lead.url("ingest", "activities"), json=touch, headers=headers)
        assert (answer.status_code, answer.json()["duplicate"]) == (status, is_twin)

    async def missing() -> list[str]:
        states = [clock["state"] for clock in await lead.clocks()]
        worked = ((await lead.owner()) or {}).get("state")
        return [
            *([] if states == ["met"] else [f"a met clock: {states}"]),
            *([] if worked == "worked" else [f"an assignment that is worked: {worked}"]),
        ]

    await until("the touch is known everywhere", missing)
    [clock] = await lead.clocks()
    assert clock["stop"]["by"] == "first_touch"
    assert (await lead.owner() or {})["assignment_id"] == owner["assignment_id"]


async def test_whatever_became_of_the_leads_every_promise_holds(installation: Installation, traffic: Traffic) -> None:
    """Reassigned, withdrawn, worked on: decisions, owners, callbacks and clocks tell the same story."""
    await traffic.send(PATIENT, good_lead(traffic, "judged"))
    evidence = await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))
    assert find_faults(traffic.promises, evidence, traffic.attempts) == []
