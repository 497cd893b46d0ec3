"""Canaries: people whose every name, address and number is unique go every way a lead can go, the bad ones too. Then
nothing that operators, dashboards or brokers' tools show may hold one of them."""

import json
from dataclasses import replace

import httpx
import pytest

from local_stack.blocking import run_blocking
from local_stack.load.people import Person
from local_stack.load.senders import KINDS, sign_typeform
from local_stack.load.setup import SITE
from local_stack.ports import LOOPBACK, free_ports

from .evidence import Seen, read_topics, rows, settle, until
from .installation import NAMES, Installation
from .test_poison import all_in_state, indigestible, produce
from .traffic import Traffic
from .verdict import find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

FIRST, LAST, LOCAL, HOST, COMPANY = "Quillhilda", "Zwanzigerova", "qhz-canary", "canarynest", "Birdseedworks"
PHONES = {"US": ("+1 415 555 0142", "4155550142"), "DE": ("+49 30 90182737", "3090182737")}
CANARIES = (FIRST, LAST, LOCAL, HOST, COMPANY, *(form for forms in PHONES.values() for form in forms))
STATEMENT = {"purposes": ["sales_contact"], "channels": ["email"], "method": "web_form", "why": "asked for it"}


@pytest.fixture(scope="module")
def extra_environment() -> dict[str, str]:
    """Return the most talkative setting there is: what is not logged now is never logged."""
    return {"LOG_LEVEL": "debug"}


def canary(traffic: Traffic, country: str = "US", host: str = HOST) -> Person:
    person = traffic.person("canary")
    return replace(
        person,
        first_name=FIRST,
        last_name=LAST,
        email=f"{LOCAL}.{person.number}@{host}.example",
        phone=PHONES[country][0],
        company=COMPANY,
        country=country,
        has_consented=True,
    )


@pytest.fixture(scope="module")
def flown(installation: Installation, traffic: Traffic) -> None:
    """Send canaries through every way, good and bad, and wait until nothing moves any more."""
    run_blocking(fly(installation, traffic))


async def fly(installation: Installation, traffic: Traffic) -> None:
    async with httpx.AsyncClient(headers=installation.headers, timeout=20, trust_env=False) as api:
        promises = [await traffic.send(kind, canary(traffic, country)) for kind in KINDS for country in PHONES]
        await fly_into_the_door(installation, traffic, api)
        await fly_into_the_consumers(installation, traffic)
        evidence = await settle(installation, lambda seen: find_unfinished(promises, seen))
        lead_ids = sorted({row["lead_id"] for row in evidence.assignments})
        assert lead_ids, "some canaries reach a rep"
        await ask_about(installation, api, lead_ids[0])
        await fly_to_a_broken_crm(installation, traffic, api)


async def fly_into_the_door(installation: Installation, traffic: Traffic, api: httpx.AsyncClient) -> None:
    """Be refused in every way there is."""
    assert installation.setup is not None
    for kind in ("zoom", "typeform", "hubspot", "standard_webhooks", "cloudevents"):
        delivery = traffic.delivery(kind, canary(traffic))
        proofs = {name: value for name, value in delivery.headers.items() if "sign" in name or name == "authorization"}
        headers = {**delivery.headers, **{name: f"0{value}" for name, value in proofs.items()}}
        assert (await api.post(traffic.url(kind), content=delivery.body, headers=headers)).status_code == 401
    text = json.dumps({"email": f"{LOCAL}@{HOST}.example", "name": f"{FIRST} {LAST}", "phone": PHONES["US"][0]})
    headers = {"content-type": "application/json", "origin": SITE}
    for body in (
        text[:-1],
        text[:-1] + ', "a": NaN}',
        "[" * 50 + text + "]" * 50,
        text.replace(LAST, LAST + "\\u0000"),
    ):
        assert (
            400 <= (await api.post(traffic.url("web_form"), content=body.encode(), headers=headers)).status_code < 500
        )
    nowhere = installation.urls["ingest"] + f"/v1/sources/{LOCAL}/submissions"
    assert (await api.post(nowhere, content=text.encode(), headers=headers)).status_code == 404
    unmappable = {"event_id": LOCAL, "event_type": "form_response", "form_response": {
        "form_id": "f", "token": f"{LOCAL}-token", "submitted_at": "2026-11-24T10:00:00Z",
        "definition": {"id": "f", "title": "t", "fields": []}, "answers": [], "hidden": {"note": f"to {FIRST} {LAST}"},
    }}  # fmt: skip
    signed = sign_typeform(json.dumps(unmappable).encode(), installation.setup.signing["typeform"])
    kept = await api.post(traffic.url("typeform"), content=signed.body, headers=signed.headers)
    assert [record["nature"] for record in kept.json()["records"]] == ["quarantined"]


async def fly_into_the_consumers(installation: Installation, traffic: Traffic) -> None:
    """Be parked by a database error that quotes the row, and be undecodable."""
    async with indigestible(installation, "crow."):
        parked = await traffic.send("standard_webhooks", canary(traffic, host="crow"))
        await until("the canary is parked", all_in_state(installation, "parked", parked))
    model = next(event for event in await read_topics(installation, ["leads.captured"]))
    await produce(installation, "leads.captured", "whoever", model.raw.replace(b'"record_id"', b'"recor'), model.type)
    await produce(installation, "leads.enriched", f"{FIRST}", model.raw[:-9], "leadrail.lead.enriched.v1")

    async def missing() -> list[str]:
        found = await rows(
            installation, "SELECT consumer FROM ingest.dead_letter UNION ALL SELECT consumer FROM scoring.dead_letter"
        )
        return [] if {row["consumer"] for row in found} == {"ingest-enrich", "scoring"} else ["dead letters"]

    await until("the damaged events are dead letters", missing)


async def fly_to_a_broken_crm(installation: Installation, traffic: Traffic, api: httpx.AsyncClient) -> None:
    """Have a callback fail that is full of personal data."""
    url = f"http://{LOOPBACK}:{free_ports(1)[0]}/nobody-listens"
    made = await api.post(
        f"{installation.urls['routing']}/v1/endpoints", json={"url": url, "events": ["lead.assigned"]}
    )
    assert made.status_code == 201, made.text
    await traffic.send("web_form", canary(traffic, host="lastnest"))

    async def missing() -> list[str]:
        return [] if await rows(installation, "SELECT FROM routing.failed_attempt") else ["a failed attempt"]

    await until("a callback fails", missing)


async def ask_about(installation: Installation, api: httpx.AsyncClient, lead_id: str) -> None:
    """Use the routes that take personal data, rightly and wrongly."""
    consent, ingest, routing = (installation.urls[name] for name in ("consent", "ingest", "routing"))
    question = {"purpose": "sales_contact", "channel": "email", "email": f"{LOCAL}@{HOST}.example"}
    asked = await api.post(f"{consent}/v1/consent/decisions", json={"questions": [question]})
    assert asked.status_code == 200, asked.text
    for url, body in (
        (f"{consent}/v1/consent/decisions", {"questions": [{**question, "lead_id": LAST}]}),
        (f"{consent}/v1/suppressions", {"email": f"{LOCAL} {LAST}", "reason": FIRST}),
        (f"{ingest}/v1/leads/{lead_id}/activities", {"kind": LAST, "detail": {"by": FIRST}}),
        (f"{routing}/v1/reps", {"rep_id": "not an id", "name": LAST, "email": LOCAL, "team": "emea"}),
        (f"{consent}/v1/leads/{lead_id}/consent/withdrawals", {**STATEMENT, "channels": [LAST]}),
    ):
        refused = await api.post(url, json=body)
        assert 400 <= refused.status_code < 500, f"{url}: {refused.status_code} {refused.text}"
        assert found_in(refused.text) == [], "a refusal names the field, not its value"
    taken = await api.post(f"{consent}/v1/leads/{lead_id}/consent/withdrawals", json=STATEMENT)
    assert taken.status_code == 201, taken.text


def found_in(text: str) -> list[str]:
    lower = text.lower()
    return [canary for canary in CANARIES if canary.lower() in lower]


@pytest.mark.parametrize("service", NAMES)
def test_no_log_line_holds_personal_data(installation: Installation, flown: None, service: str) -> None:
    lines = installation.log_of(service).splitlines()
    assert len(lines) > 5, "it does log"
    assert [line for line in lines if found_in(line)] == []


@pytest.mark.parametrize("service", NAMES)
def test_no_metric_holds_personal_data(installation: Installation, flown: None, service: str) -> None:
    text = httpx.get(f"{installation.urls[service]}/metrics", trust_env=False).text
    assert "leadrail_http_requests_total" in text
    assert [line for line in text.splitlines() if found_in(line)] == []


async def test_no_kafka_key_or_header_holds_personal_data(installation: Installation, flown: None) -> None:
    events = await read_topics(installation)
    ours = [event for event in events if event.key not in {"whoever", FIRST}]  # what the test itself produced
    assert set(found_in(" ".join(event.raw.decode() for event in ours))) == set(CANARIES), "all of it went through"
    assert [event.id for event in ours if found_in(event.key) or found_in(header_text(event))] == []


def header_text(event: Seen) -> str:
    return " ".join(f"{name}={value.decode('utf-8', 'replace')}" for name, value in event.headers)


LISTS = [
    *((service, "/v1/parking") for service in NAMES),
    *((service, "/v1/dead-letters") for service in NAMES),
    *((service, "/v1/audit") for service in NAMES),
    ("ingest", "/v1/quarantine"),
    ("scoring", "/v1/scores"),
    ("routing", "/v1/assignments"),
    ("routing", "/v1/callbacks"),
    ("sla-monitor", "/v1/sla/clocks"),
]


@pytest.mark.parametrize(("service", "path"), LISTS)
async def test_no_list_for_operators_holds_personal_data(
    installation: Installation, api: httpx.AsyncClient, flown: None, service: str, path: str
) -> None:
    answer = await api.get(installation.urls[service] + path, params={"limit": 200})
    assert answer.status_code == 200, answer.text
    assert found_in(answer.text) == []
