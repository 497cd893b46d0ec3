"""The senders' published request bodies, posted as their senders would, each with what must become of it."""

import json
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple

from local_stack.load import senders
from local_stack.load.people import make_person
from local_stack.load.senders import Post, Signing


class Sample(NamedTuple):
    """One request and its expected end: HTTP status, the nature of its first record, and the reason if it has one."""

    title: str
    kind: str
    post: Post
    status: int
    nature: str | None
    reason: str | None = None


def make_samples(signing: dict[str, Signing], now: datetime, run: str) -> list[Sample]:
    """Return the requests of this *run*. Identifiers in the bodies are this run's: kept data of others is no twin."""
    zoom = _edited("zoom.webinar.registration_created.json", lambda body: _zoom_of(body, run))
    typeform = _edited("typeform.form_response.json", lambda body: _typeform_of(body, run))
    hubspot = _edited("hubspot.contact.creation.json", lambda body: _hubspot_of(body, now))
    person = make_person(0, population=f"sample-{run}-")
    made = {kind: senders.SENDERS[kind](person, signing[kind], now) for kind in ("web_form", "standard_webhooks")}
    event = senders.cloudevents(make_person(1, population=f"sample-{run}-"), signing["cloudevents"], now)
    signed_zoom = senders.sign_zoom(zoom, signing["zoom"], now)
    return [
        Sample("web form, urlencoded", "web_form", made["web_form"], 200, "lead"),
        Sample("Zoom webinar registration", "zoom", signed_zoom, 200, "lead"),
        Sample("Typeform response without an address", "typeform", senders.sign_typeform(typeform, signing["typeform"]),
               200, "quarantined", "no_identity"),
        Sample("HubSpot batch: e-mail change and creation by id", "hubspot",
               senders.sign_hubspot(hubspot, signing["hubspot"], now), 200, "lead"),
        Sample("Standard Webhooks event", "standard_webhooks", made["standard_webhooks"], 200, "lead"),
        Sample("CloudEvents, structured", "cloudevents", event, 200, "lead"),
        Sample("Zoom, one byte of the signature changed", "zoom", _forged(signed_zoom), 401, None),
    ]  # fmt: skip


def _edited(name: str, edit: Callable[[Any], Any]) -> bytes:
    body = json.loads(files("local_stack.demo").joinpath("payloads", name).read_text("utf-8"))
    return json.dumps(edit(body)).encode()


def _zoom_of(body: dict[str, Any], run: str) -> dict[str, Any]:
    registrant = body["payload"]["object"]["registrant"]
    registrant["id"] = f"demo-{run}"
    registrant["email"] = f"jchill.{run}@example.com"
    return body


def _typeform_of(body: dict[str, Any], run: str) -> dict[str, Any]:
    body["form_response"]["token"] = f"demo{run}"
    return body


def _hubspot_of(body: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    created = body[0]
    created["occurredAt"] = int(now.timestamp() * 1000)
    changed = {
        **created,
        "eventId": 2,
        "subscriptionType": "contact.propertyChange",
        "propertyName": "email",
        "propertyValue": f"contact.{created['occurredAt']}@example.com",
    }
    return [changed, created]


def _forged(post: Post) -> Post:
    signature = post.headers["x-zm-signature"]
    last = "0" if signature[-1] != "0" else "1"
    return Post({**post.headers, "x-zm-signature": signature[:-1] + last}, post.body)
