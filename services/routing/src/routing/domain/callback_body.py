"""What a CRM is told. The body is made once, with the decision: every attempt sends the same bytes."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from shared.contracts import LeadCleared, Owner

CallbackType = Literal["lead.assigned", "lead.reassigned", "consent.withdrawn"]
CALLBACK_TYPES: tuple[CallbackType, ...] = ("lead.assigned", "lead.reassigned", "consent.withdrawn")
MAX_BODY = 20_000 - 1
_LONGEST_TEXTS = (500, 100)

_ENCODER = msgspec.json.Encoder()


def describe_assignment(
    kind: CallbackType,
    case: LeadCleared,
    owner: Owner,
    owner_email: str | None,
    previous: dict[str, str] | None = None,
) -> bytes:
    """Return the body for a lead that got an owner. Under 20 kB: the sender's extra fields go first, then long texts
    are cut; ``truncated`` names what was lost."""
    data: dict[str, Any] = {
        "lead_id": case.lead_id,
        "lead": case.lead,
        "score": {
            "points": case.score.points,
            "grade": case.score.grade,
            "is_mql": case.score.is_mql,
            "model_version": case.score.model_version,
        },
        "owner": {
            "rep_id": owner.rep_id,
            "name": owner.rep_name,
            "email": owner_email,
            "team": owner.team,
        },
        "assignment": {
            "assignment_id": owner.assignment_id,
            "pool": owner.pool,
            "rule_id": owner.rule_id,
            "document_version": owner.document_version,
            "assigned_at": owner.assigned_at,
        },
        "consent": {
            "channels": case.verdict.channels,
            "decision_id": case.verdict.decision_id,
            "jurisdiction": case.verdict.jurisdiction,
            "rule_id": case.verdict.rule_id,
            "decided_at": case.verdict.decided_at,
        },
        "source": {
            "key": case.origin.source_key,
            "kind": case.origin.source_kind,
            "received_at": case.origin.received_at,
            "touch": case.origin.touch,
        },
    }
    if previous is not None:
        data["previous"] = previous
    return _fitted(kind, owner.assigned_at, data)


def describe_withdrawal(lead_id: str, changed_at: datetime, at: datetime, assignment_id: str, rep_id: str) -> bytes:
    """Return the body that tells a CRM to stop contacting a lead. It names no person: ids only."""
    data = {
        "lead_id": lead_id,
        "may_contact": False,
        "changed_at": changed_at,
        "assignment_id": assignment_id,
        "rep_id": rep_id,
    }
    return _encoded("consent.withdrawn", at, data)


def _fitted(kind: CallbackType, at: datetime, data: dict[str, Any]) -> bytes:
    body = _encoded(kind, at, data)
    if len(body) <= MAX_BODY:
        return body
    lead: dict[str, Any] = msgspec.to_builtins(data["lead"])
    lead.pop("custom", None)
    body = _encoded(kind, at, {**data, "lead": lead, "truncated": ["/lead/custom"]})
    if len(body) <= MAX_BODY:
        return body
    # Whatever is left is cut, the touch as well: a callback that is never sent tells the CRM nothing at all.
    touch: dict[str, Any] = msgspec.to_builtins(data["source"]["touch"])
    for most in _LONGEST_TEXTS:
        source = {**data["source"], "touch": {name: _cut(value, most) for name, value in touch.items()}}
        short = {name: _cut(value, most) for name, value in lead.items()}
        body = _encoded(kind, at, {**data, "lead": short, "source": source, "truncated": ["/lead", "/source/touch"]})
        if len(body) <= MAX_BODY:
            break
    return body


def _cut(value: Any, most: int) -> Any:
    return value[:most] if isinstance(value, str) else value


def _encoded(kind: CallbackType, at: datetime, data: dict[str, Any]) -> bytes:
    return _ENCODER.encode({"type": kind, "timestamp": at, "data": data})
