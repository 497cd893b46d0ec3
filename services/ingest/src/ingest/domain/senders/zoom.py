"""Zoom webinars and meetings: registrations are leads, joining is an activity."""

import hashlib
import hmac
import re

import msgspec

from ingest.domain.fields import flatten, map_fields, text_at
from ingest.domain.json_guard import Json
from ingest.domain.records import ActivityRecord, Answer, IgnoredRecord, LeadRecord, Record, UnmappableRecord
from ingest.domain.refusal import refuse
from ingest.domain.senders.event_payload import instant_from
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound
from ingest.domain.verification import Signature, Timestamp
from shared.contracts import ActivityKind

_HANDSHAKE = "endpoint.url_validation"
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_REGISTERED: dict[str, ActivityKind] = {
    "webinar.registration_created": "webinar_registration",
    "meeting.registration_created": "webinar_registration",
}
_JOINED: dict[str, ActivityKind] = {
    "webinar.participant_joined": "webinar_attendance",
    "meeting.participant_joined": "meeting",
}
_REGISTRANT_FIELDS = (
    "email", "first_name", "last_name", "phone", "org", "job_title", "industry", "country", "state", "city", "comments",
    "no_of_employees",
)  # fmt: skip
_NAME_OF_FIELD = {"org": "company", "job_title": "title", "comments": "message", "no_of_employees": "employees"}


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    payload = inbound.payload
    event = text_at(payload, "event") or ""
    if event == _HANDSHAKE:
        return (IgnoredRecord(reason="handshake"),)
    if event in _REGISTERED:
        return (_map_registration(event, payload, inbound),)
    if event in _JOINED:
        return (_map_participant(event, payload, inbound),)
    return (IgnoredRecord(reason="event_type", dedupe_key=_dedupe_key(event, payload, "participant", "registrant")),)


def answer(inbound: Inbound) -> Answer | None:
    """Answer the URL validation. It signs what it is given, so only a token's alphabet is signed: a payload that could
    pass as a webhook body (it would need braces and quotes) never is."""
    if text_at(inbound.payload, "event") != _HANDSHAKE:
        return None
    inner = inbound.payload.get("payload")
    token = inner.get("plainToken") if isinstance(inner, dict) else None
    if not isinstance(token, str) or not _PLAIN_TOKEN.fullmatch(token):
        raise refuse(422, "handshake_refused", "/payload/plainToken", "not a token")
    encrypted = hmac.new(inbound.proof, token.encode(), hashlib.sha256).hexdigest()
    return Answer(body=msgspec.json.encode({"plainToken": token, "encryptedToken": encrypted}))


def _map_registration(event: str, payload: Json, inbound: Inbound) -> Record:
    dedupe_key = _dedupe_key(event, payload, "registrant")
    registrant = _object_at(payload).get("registrant")
    if not isinstance(registrant, dict):
        return UnmappableRecord(reason="registrant_missing", dedupe_key=dedupe_key)
    pairs = [(_NAME_OF_FIELD.get(name, name), registrant.get(name)) for name in _REGISTRANT_FIELDS]
    questions = registrant.get("custom_questions")
    pairs.extend(
        (question["title"], question.get("value"))
        for question in (questions if isinstance(questions, list) else ())
        if isinstance(question, dict) and isinstance(question.get("title"), str)
    )
    tracking = registrant.get("tracking_source")
    if isinstance(tracking, dict):
        pairs.append(("landing_page", tracking.get("tracking_url")))
    mapped = map_fields(pairs, inbound)
    return LeadRecord(
        lead=mapped.lead,
        touch=mapped.touch,
        consent=mapped.consent,
        activities=(_REGISTERED[event], *inbound.source.defaults.activities),
        external_id=_external_id(text_at(registrant, "id")),
        dedupe_key=dedupe_key,
    )


def _map_participant(event: str, payload: Json, inbound: Inbound) -> Record:
    dedupe_key = _dedupe_key(event, payload, "participant")
    meeting = _object_at(payload)
    participant = meeting.get("participant")
    if not isinstance(participant, dict):
        return UnmappableRecord(reason="participant_missing", dedupe_key=dedupe_key)
    external_id = _external_id(text_at(participant, "registrant_id"))
    person = {
        "email": participant.get("email"),
        "name": participant.get("user_name"),
        "phone": participant.get("phone_number"),
    }
    if not person["email"] and external_id is None:
        return IgnoredRecord(reason="anonymous_participant", dedupe_key=dedupe_key)
    mapped = map_fields(flatten(person), inbound)
    return ActivityRecord(
        lead=mapped.lead,
        kind=_JOINED[event],
        occurred_at=instant_from(participant.get("join_time"), inbound.received_at),
        detail={"webinar_id": text_at(meeting, "id") or ""},
        external_id=external_id,
        dedupe_key=dedupe_key,
    )


def _object_at(payload: Json) -> dict[str, Json]:
    inner = payload.get("payload") if isinstance(payload, dict) else None
    found = inner.get("object") if isinstance(inner, dict) else None
    return found if isinstance(found, dict) else {}


def _external_id(registrant_id: str | None) -> str | None:
    return f"zoom:{registrant_id}" if registrant_id else None


def _dedupe_key(event: str, payload: Json, *people: str) -> str | None:
    """Zoom has no delivery id: the same event of the same person at the same millisecond is the same delivery."""
    stamp = text_at(payload, "event_ts")
    if stamp is None:
        return None
    meeting = _object_at(payload)
    person = next(
        (text_at(meeting, role, "id") or text_at(meeting, role, "user_id") for role in people if role in meeting), ""
    )
    account = text_at(payload, "payload", "account_id") or ""
    return f"zoom:{event}:{account}:{stamp}:{text_at(meeting, 'uuid') or ''}:{person or ''}"


SENDER = Sender(
    kind="zoom",
    schemes=(
        Signature(
            header=b"x-zm-signature",
            template="v0:{timestamp}:{body}",
            parse="prefix",
            label=b"v0=",
            timestamp=Timestamp(header=b"x-zm-request-timestamp"),
        ),
    ),
    map_delivery=map_delivery,
    answer=answer,
)
