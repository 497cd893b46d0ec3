"""The six senders of the demo, posting as they are documented to: bodies, signatures, identifiers."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from local_stack.load.people import Person

KINDS = ("web_form", "zoom", "typeform", "hubspot", "standard_webhooks", "cloudevents")
WEBHOOKS_SECRET = "whsec_" + base64.b64encode(b"demo-secret-of-24-bytes!").decode()


class Post(NamedTuple):
    """One request to a source's address."""

    headers: dict[str, str]
    body: bytes


class Signing(NamedTuple):
    """What a sender signs with: the secret it shares with us, and the address it thinks it posts to."""

    secret: str
    url: str = ""


def web_form(person: Person, _signing: Signing, _now: datetime) -> Post:
    """Return a plain HTML form's post, urlencoded, with UTM fields and a consent box."""
    fields = {
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "phone": person.phone,
        "job_title": person.title,
        "company": person.company,
        "country": person.country,
        "industry": person.industry,
        "company_size": person.employees,
        "utm_source": "newsletter",
        "utm_medium": "email",
        "utm_campaign": "autumn-launch",
        **({"consent": "on"} if person.has_consented else {}),
    }
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": "https://www.example.com"}
    return Post(headers, urlencode(fields).encode())


def zoom(person: Person, signing: Signing, now: datetime) -> Post:
    """Return ``webinar.registration_created``, signed ``v0=``."""
    payload = {
        "event": "webinar.registration_created",
        "event_ts": _milliseconds(now) + person.number % 997,
        "payload": {
            "account_id": "AAAAAABBBB",
            "object": {
                "uuid": "4444AAAiAAAAAiAiAiiAii==",
                "id": 1234567890,
                "topic": "My Webinar",
                "registrant": {
                    "id": f"reg-{person.email}",
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "email": person.email,
                    "country": person.country,
                    "phone": person.phone,
                    "industry": person.industry,
                    "org": person.company,
                    "job_title": person.title,
                    "no_of_employees": person.employees,
                    "custom_questions": [{"title": "consent", "value": "yes" if person.has_consented else "no"}],
                    "status": "approved",
                },
            },
        },
    }
    return sign_zoom(json.dumps(payload).encode(), signing, now)


def sign_zoom(body: bytes, signing: Signing, now: datetime) -> Post:
    """Return a Zoom delivery of *body*."""
    stamp = str(int(now.timestamp()))
    signature = hmac.new(signing.secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={signature}", **_JSON}
    return Post(headers, body)


def typeform(person: Person, signing: Signing, now: datetime) -> Post:
    """Return a ``form_response`` with typed answers and hidden fields."""
    titles = {
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "job_title": person.title,
        "company": person.company,
        "country": person.country,
        "industry": person.industry,
        "company_size": person.employees,
    }
    fields = [{"id": f"f_{name}", "ref": name, "type": "short_text", "title": name} for name in titles]
    answers: list[dict[str, Any]] = [
        {"type": "email", "email": value, "field": {"id": f"f_{name}", "ref": name, "type": "email"}}
        if name == "email"
        else {"type": "text", "text": value, "field": {"id": f"f_{name}", "ref": name, "type": "short_text"}}
        for name, value in titles.items()
    ]
    fields.append({"id": "f_consent", "ref": "consent", "type": "yes_no", "title": "consent"})
    answers.append(
        {
            "type": "boolean",
            "boolean": person.has_consented,
            "field": {"id": "f_consent", "ref": "consent", "type": "yes_no"},
        }
    )
    payload = {
        "event_id": f"ev-{person.email}",
        "event_type": "form_response",
        "form_response": {
            "form_id": "o3TT4IlE",
            "token": hashlib.sha256(f"{person.email}/{_milliseconds(now)}".encode()).hexdigest()[:32],
            "submitted_at": now.isoformat(),
            "definition": {"id": "o3TT4IlE", "title": "Talk to us", "fields": fields},
            "hidden": {"utm_source": "linkedin", "utm_campaign": "q4"},
            "answers": answers,
        },
    }
    return sign_typeform(json.dumps(payload).encode(), signing)


def sign_typeform(body: bytes, signing: Signing) -> Post:
    """Return a Typeform delivery of *body*."""
    digest = hmac.new(signing.secret.encode(), body, hashlib.sha256).digest()
    return Post({"typeform-signature": "sha256=" + base64.b64encode(digest).decode(), **_JSON}, body)


def hubspot(person: Person, signing: Signing, now: datetime) -> Post:
    """Return a batch of one ``contact.propertyChange`` of the e-mail address, signed v3."""
    payload = [
        {
            "eventId": person.number + 1,
            "subscriptionId": 12345,
            "portalId": 62515,
            "occurredAt": _milliseconds(now),
            "subscriptionType": "contact.propertyChange",
            "attemptNumber": 0,
            "objectId": _contact_of(person),
            "changeSource": "FORM",
            "propertyName": "email",
            "propertyValue": person.email,
            "appId": 54321,
        }
    ]
    return sign_hubspot(json.dumps(payload).encode(), signing, now)


def sign_hubspot(body: bytes, signing: Signing, now: datetime) -> Post:
    """Return a HubSpot v3 delivery of *body* to ``signing.url``."""
    stamp = str(_milliseconds(now))
    message = b"POST" + signing.url.encode() + body + stamp.encode()
    digest = hmac.new(signing.secret.encode(), message, hashlib.sha256).digest()
    headers = {
        "x-hubspot-signature-v3": base64.b64encode(digest).decode(),
        "x-hubspot-request-timestamp": stamp,
        **_JSON,
    }
    return Post(headers, body)


def standard_webhooks(person: Person, signing: Signing, now: datetime) -> Post:
    """Return a ``lead.created`` event, signed ``v1,``."""
    payload = {"type": "lead.created", "timestamp": now.isoformat(), "data": _fields(person)}
    message_id = "msg_" + hashlib.sha256(f"{person.email}/{_milliseconds(now)}".encode()).hexdigest()[:24]
    return sign_standard_webhooks(json.dumps(payload).encode(), message_id, signing, now)


def sign_standard_webhooks(body: bytes, message_id: str, signing: Signing, now: datetime) -> Post:
    """Return a Standard Webhooks delivery of *body*; *message_id* is the same when it is sent again."""
    stamp = str(int(now.timestamp()))
    key = base64.b64decode(signing.secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        **_JSON,
    }
    return Post(headers, body)


def cloudevents(person: Person, signing: Signing, now: datetime) -> Post:
    """Return a structured-mode event with a bearer token."""
    payload = {
        "specversion": "1.0",
        "type": "com.example.lead.created",
        "source": "/demo",
        "id": hashlib.sha256(f"{person.email}/{_milliseconds(now)}".encode()).hexdigest()[:24],
        "time": now.isoformat(),
        "datacontenttype": "application/json",
        "data": _fields(person),
    }
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {signing.secret}"}
    return Post(headers, json.dumps(payload).encode())


SENDERS: Mapping[str, Callable[[Person, Signing, datetime], Post]] = {
    "web_form": web_form,
    "zoom": zoom,
    "typeform": typeform,
    "hubspot": hubspot,
    "standard_webhooks": standard_webhooks,
    "cloudevents": cloudevents,
}
_JSON = {"content-type": "application/json"}


def _fields(person: Person) -> dict[str, Any]:
    return {
        "email": person.email,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "phone": person.phone,
        "job_title": person.title,
        "company": person.company,
        "country": person.country,
        "industry": person.industry,
        "employees": person.employees,
        "consent": person.has_consented,
    }


def _contact_of(person: Person) -> int:
    """Return the id of the person's HubSpot contact: of the address, for numbers repeat in every population."""
    return int.from_bytes(hashlib.sha256(person.email.encode()).digest()[:6], "big")


def _milliseconds(now: datetime) -> int:
    return int(now.astimezone(UTC).timestamp() * 1000)
