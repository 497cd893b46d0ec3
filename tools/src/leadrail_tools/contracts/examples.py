"""One valid, deterministic example per event, with every field set, from the model itself."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import inspect

from shared.clock import format_instant
from shared.contracts import Event

RECEIVED_AT = datetime(2026, 3, 2, 9, 30, 0, 250_000, tzinfo=UTC)

TEXTS = {
    "activity_id": "01961000-0000-7000-8000-000000000008",
    "assignment_id": "01961000-0000-7000-8000-000000000005",
    "channels": "email",
    "city": "Berlin",
    "click_id": "gclid-EXAMPLE",
    "clock_id": "01961000-0000-7000-8000-000000000006",
    "company": "Example Analytics GmbH",
    "company_domain": "analytics.example",
    "consumer": "scoring",
    "country": "DE",
    "decision_id": "01961000-0000-7000-8000-000000000004",
    "document_version": "3",
    "email": "ada.example@analytics.example",
    "error": "ValueError in on_lead_enriched",
    "evidence_ids": "01961000-0000-7000-8000-000000000009",
    "fingerprint": "",
    "first_name": "Ada",
    "industry": "software",
    "jurisdiction": "DE",
    "key": "typeform:a3c1f0",
    "landing_page": "https://www.leadrail.example/demo",
    "language": "de",
    "last_name": "Example",
    "lawful_basis": "consent",
    "lead_id": "01961000-0000-7000-8000-000000000001",
    "message": "Please show us the routing.",
    "method": "web_form",
    "model_version": "1",
    "notice_version": "2026-01",
    "parked_event_id": "01961000-0000-7000-8000-00000000000b",
    "phone": "+4930123456",
    "policy_id": "first-response",
    "policy_version": "1",
    "pool": "dach-enterprise",
    "previous_assignment_id": "01961000-0000-7000-8000-00000000000c",
    "previous_rep_id": "rep-07",
    "purpose": "sales_contact",
    "purposes": "sales_contact",
    "reason": "sla_breached",
    "record_id": "01961000-0000-7000-8000-000000000003",
    "record_ids": "01961000-0000-7000-8000-000000000003",
    "referrer": "https://search.example/",
    "region": "DE-BE",
    "rep_id": "rep-12",
    "rep_name": "Grace Sample",
    "rule_id": "dach",
    "source_key": "website-demo",
    "source_kind": "web_form",
    "stage": "first_touch",
    "submission_id": "01961000-0000-7000-8000-000000000002",
    "table_version": "1",
    "team": "dach",
    "text_shown": "Yes, you may call me about Leadrail.",
    "title": "Head of Marketing Operations",
    "utm_campaign": "spring-launch",
    "utm_content": "hero",
    "utm_medium": "cpc",
    "utm_source": "search",
    "utm_term": "lead routing",
    "website": "https://analytics.example",
}  # fmt: skip
"""Field name → what it looks like. A text field without an entry fails loudly: every example shows something real."""

NUMBERS: dict[str, float] = {"employees": 240, "points": 62.5, "raw": 62.5, "fit": 41, "engagement": 21.5}

MAPPINGS = {
    "custom": {"team_size": "12"},
    "detail": {"page_group": "pricing"},
    "notes": {"region": "not_given"},
}

SECONDS_AFTER_RECEIPT = {"received_at": 0, "at": 0, "scored_at": 1, "decided_at": 1, "assigned_at": 2, "due_at": 3600}


class NoExample(LookupError):
    """A field whose example nobody wrote: add it to the tables of this module."""


def example_of(event: type[Event]) -> dict[str, Any]:
    """Return an example payload of *event* as JSON data. Errors: `NoExample`."""
    value = _example(inspect.type_info(event), event.type)
    if not isinstance(value, dict):
        raise NoExample(event.type)
    # What cannot be decoded must not be published as an example.
    msgspec.convert(value, event)
    return value


def _example(info: inspect.Type, name: str) -> Any:
    match info:
        case inspect.StructType(fields=fields):
            return {field.encode_name: _example(field.type, field.name) for field in fields}
        case inspect.UnionType(types=types):
            return _example(next(kind for kind in types if not isinstance(kind, inspect.NoneType)), name)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.VarTupleType(item_type=item):
            return [_example(item, name)]
        case inspect.DictType():
            return _known(MAPPINGS, name)
        case inspect.DateTimeType():
            return _instant(name)
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return int(_known(NUMBERS, name))
        case inspect.FloatType():
            return float(_known(NUMBERS, name))
        case inspect.StrType():
            return _known(TEXTS, name)
    raise NoExample(f"{name}: {info}")


def _instant(name: str) -> str:
    seconds = SECONDS_AFTER_RECEIPT.get(name, 5)
    return format_instant(RECEIVED_AT.replace(hour=9 + seconds // 3600, second=seconds % 60))


def _known(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise NoExample(f"no example for a field named {name}")
    return table[name]
