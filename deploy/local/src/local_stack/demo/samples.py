"""Deliveries as their senders publish them, each with what must become of it."""

import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import NamedTuple

from local_stack.load import senders
from local_stack.load.people import make_person
from local_stack.load.senders import Post, Signing
from local_stack.load.setup import submissions_path

UNKNOWN_PATH = "/v1/sources/nobody-knows-this-one/submissions"


class Fate(NamedTuple):
    """What a record must turn out to be. ``reason`` is told for those that are no lead."""

    nature: str
    reason: str | None = None


LEAD = Fate("lead")
UNKNOWN_TYPE = Fate("ignored", "event_type")


class Sample(NamedTuple):
    """One delivery: its answer's status and, if that is 200, what each of its records must become."""

    title: str
    kind: str
    path: str
    post: Post
    status: int = 200
    fates: tuple[Fate, ...] = ()


def make_samples(signing: Mapping[str, Signing], now: datetime, run: str) -> list[Sample]:
    """Return the deliveries of this *run*: signed now, with ids and addresses that no other run has."""
    zoom = senders.sign_zoom(_zoom(now, run), signing["zoom"], now)
    webhook = signing["standard_webhooks"]
    test_event = senders.sign_standard_webhooks(_payload("standard-webhooks.test.json"), f"msg_{run}", webhook, now)
    bearer = signing["cloudevents"]
    event, other_event = (_made("cloudevents", number, signing, now, run) for number in (3, 4))
    return [
        _sample("web form, urlencoded", "web_form", _web_form(signing, now, run), LEAD),
        _sample("Zoom webinar registration", "zoom", zoom, LEAD),
        _sample("Typeform without an address", "typeform", senders.sign_typeform(_typeform(run), signing["typeform"]),
                Fate("quarantined", "no_contact")),
        _sample("Typeform with an address", "typeform", _made("typeform", 1, signing, now, run), LEAD),
        _sample("HubSpot batch of three", "hubspot", senders.sign_hubspot(_hubspot(now, run), signing["hubspot"], now),
                Fate("quarantined", "contact_not_fetched"), Fate("ignored", "redacted"), LEAD),
        _sample("Standard Webhooks lead.created", "standard_webhooks", _made("standard_webhooks", 2, signing, now, run),
                LEAD),
        _sample("Standard Webhooks, unknown type", "standard_webhooks", test_event, UNKNOWN_TYPE),
        _sample("CloudEvents, structured", "cloudevents", event, LEAD),
        _sample("CloudEvents, binary", "cloudevents", _in_binary_mode(other_event), LEAD),
        _sample("CloudEvents, structured, unknown type", "cloudevents", _cloudevent("structured", bearer, run),
                UNKNOWN_TYPE),
        _sample("CloudEvents, binary, unknown type", "cloudevents", _cloudevent("binary", bearer, run), UNKNOWN_TYPE),
        Sample("Zoom, a digit of the signature changed", "zoom", submissions_path("zoom"), _forged(zoom), status=401),
        Sample("a key that no source has", "zoom", UNKNOWN_PATH, zoom, status=404),
    ]  # fmt: skip


def _sample(title: str, kind: str, post: Post, *fates: Fate) -> Sample:
    return Sample(title, kind, submissions_path(kind), post, fates=fates)


def _made(kind: str, number: int, signing: Mapping[str, Signing], now: datetime, run: str) -> Post:
    return senders.SENDERS[kind](make_person(number, population=f"sample-{run}-"), signing[kind], now)


def _web_form(signing: Mapping[str, Signing], now: datetime, run: str) -> Post:
    """A form has no delivery id: with this header, a double click is not two submissions."""
    post = _made("web_form", 0, signing, now, run)
    return Post({**post.headers, "idempotency-key": f"demo-{run}"}, post.body)


def _zoom(now: datetime, run: str) -> bytes:
    return _edited(
        _payload("zoom.webinar.registration_created.json"),
        {
            b'"event_ts": 1626230691572': f'"event_ts": {_milliseconds(now)}',
            b'"id": "iFxeBPYun6SAiWUzBcEkX"': f'"id": "{run}"',
            b'"email": "jchill@example.com"': f'"email": "jchill.{run}@example.com"',
        },
    )


def _typeform(run: str) -> bytes:
    body = _payload("typeform.form_response.json")
    return _edited(body, {b'"token": "9q3v9bp5alonta6239q3q1rfly2c2ukh"': f'"token": "{run}"'})


def _hubspot(now: datetime, run: str) -> bytes:
    """A creation that carries ids only, a value HubSpot keeps to itself, and an address."""
    stamp = str(_milliseconds(now))
    created = _edited(_payload("hubspot.contact.creation.json"), {b"1564113600000": stamp})
    redacted = _edited(_payload("hubspot.contact.propertyChange.json"), {b"1715203101896": stamp})
    address = {
        **json.loads(redacted)[0],
        "objectId": int(run, 16),
        "propertyName": "email",
        "propertyValue": f"contact.{run}@example.com",
    }
    return json.dumps([*json.loads(created), *json.loads(redacted), address]).encode()


def _cloudevent(mode: str, signing: Signing, run: str) -> Post:
    """Return the specification's example request in *mode*; only its id is ours."""
    head, _, body = _payload(f"cloudevents.{mode}.txt").partition(b"\n\n")
    headers = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines()[1:])
    headers = {name.lower(): value for name, value in headers.items() if name != "Host"}
    headers["authorization"] = f"Bearer {signing.secret}"
    if mode == "binary":
        return Post({**headers, "ce-id": run}, body.rstrip())
    return Post(headers, _edited(body.rstrip(), {b'"id":"A234-1234-1234"': f'"id":"{run}-structured"'}))


def _in_binary_mode(post: Post) -> Post:
    """Return the structured event *post* in binary mode: attributes as headers, the data as the body."""
    event = json.loads(post.body)
    data, content_type = event.pop("data"), event.pop("datacontenttype")
    attributes = {f"ce-{name}": value for name, value in event.items()}
    headers = {**post.headers, **attributes, "content-type": content_type}
    return Post(headers, json.dumps(data).encode())


def _forged(post: Post) -> Post:
    signature = post.headers["x-zm-signature"]
    last = "0" if signature[-1] != "0" else "1"
    return Post({**post.headers, "x-zm-signature": signature[:-1] + last}, post.body)


def _payload(name: str) -> bytes:
    return files("local_stack.demo").joinpath("payloads", name).read_bytes()


def _edited(body: bytes, replacements: Mapping[bytes, str]) -> bytes:
    """Return *body* with each old text, which must be there once, replaced; all other bytes as their sender's."""
    for old, new in replacements.items():
        if body.count(old) != 1:
            raise ValueError(f"{old!r} is not there once")
        body = body.replace(old, new.encode())
    return body


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)
