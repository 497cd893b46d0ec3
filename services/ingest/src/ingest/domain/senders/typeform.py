"""Typeform: typed answers named by the form's own questions, hidden fields beside them."""

from collections.abc import Iterator
from typing import Final

from ingest.domain.fields import CANONICAL_FIELDS, canonical_name, map_fields, text_at
from ingest.domain.json_guard import Json
from ingest.domain.records import IgnoredRecord, LeadRecord, Record, UnmappableRecord
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound, Source
from ingest.domain.verification import Signature

# Questions are sentences ("What's your first name?"): the first phrase found names the field.
_FIELD_BY_PHRASE: Final = (
    ("first name", "first_name"), ("last name", "last_name"), ("surname", "last_name"), ("full name", "full_name"),
    ("your name", "full_name"), ("job title", "title"), ("your role", "title"), ("how many employees", "employees"),
    ("number of employees", "employees"), ("company size", "employees"), ("company", "company"),
    ("organization", "company"), ("organisation", "company"), ("country", "country"), ("industry", "industry"),
)  # fmt: skip
_FIELD_BY_ANSWER_TYPE: Final = {"email": "email", "phone_number": "phone"}
_MAX_ANSWERS: Final = 200


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    payload = inbound.payload
    response = payload.get("form_response") if isinstance(payload, dict) else None
    token = text_at(response, "token")
    dedupe_key = f"typeform:{token}" if token else None
    if text_at(payload, "event_type") != "form_response":
        return (IgnoredRecord(reason="event_type", dedupe_key=dedupe_key),)
    if not isinstance(response, dict):
        return (UnmappableRecord(reason="form_response_missing", dedupe_key=dedupe_key),)
    mapped = map_fields(_named_answers(response, inbound.source), inbound)
    return (
        LeadRecord(
            lead=mapped.lead,
            touch=mapped.touch,
            consent=mapped.consent,
            activities=inbound.source.defaults.activities,
            dedupe_key=dedupe_key,
        ),
    )


def _named_answers(response: dict[str, Json], source: Source) -> Iterator[tuple[str, Json]]:
    titles = _titles_of(response.get("definition"))
    answers = response.get("answers")
    for answer in answers[:_MAX_ANSWERS] if isinstance(answers, list) else ():
        if isinstance(answer, dict):
            field = answer.get("field")
            yield _name_of(answer, field if isinstance(field, dict) else {}, titles, source), _value_of(answer)
    hidden = response.get("hidden")
    if isinstance(hidden, dict):
        yield from hidden.items()


def _titles_of(definition: Json) -> dict[str, str]:
    fields = definition.get("fields") if isinstance(definition, dict) else None
    titles: dict[str, str] = {}
    for field in fields if isinstance(fields, list) else ():
        field_id, title = text_at(field, "id"), text_at(field, "title")
        if field_id and title:
            titles[field_id] = title
    return titles


def _name_of(answer: dict[str, Json], field: dict[str, Json], titles: dict[str, str], source: Source) -> str:
    """Return the name a mapping can use: the source's own mapping first, then the answer's type, then words."""
    ref = text_at(field, "ref") or ""
    title = titles.get(text_at(field, "id") or "", "")
    for name in (ref, title):
        if name in source.field_mapping:
            return name
    if text_at(field, "type") == "legal":
        notice = source.defaults.consent
        return notice.field if notice is not None else "consent"
    by_type = _FIELD_BY_ANSWER_TYPE.get(text_at(answer, "type") or "")
    if by_type is not None:
        return by_type
    for name in (ref, title):
        if canonical_name(name) in CANONICAL_FIELDS:
            return name
    lowered = title.lower()
    by_phrase = next((name for phrase, name in _FIELD_BY_PHRASE if phrase in lowered), None)
    return by_phrase or title or ref or "answer"


def _value_of(answer: dict[str, Json]) -> Json:
    """Return the value of the typed union: ``{"type": "choice", "choice": {"label": …}}``."""
    value = answer.get(text_at(answer, "type") or "")
    if isinstance(value, dict):
        labels = value.get("labels")
        if isinstance(labels, list):
            return [*labels, value.get("other")]
        return value.get("label") or value.get("other")
    return value


SENDER = Sender(
    kind="typeform",
    schemes=(Signature(header=b"typeform-signature", parse="prefix", label=b"sha256=", encoding="base64"),),
    map_delivery=map_delivery,
)
