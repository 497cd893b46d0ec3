"""Builders with every field defaulted: a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any

from shared.contracts import (
    ActivityRecorded,
    ConsentVerdict,
    Facts,
    Lead,
    LeadAssigned,
    LeadCaptured,
    LeadCleared,
    LeadEnriched,
    LeadScored,
    Origin,
    Owner,
    Score,
)
from shared.ids import new_id

NOON = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def make_lead(**fields: Any) -> Lead:
    """Return a VP of sales of a German software company."""
    values: dict[str, Any] = {
        "email": "dana.reyes@acme.example",
        "first_name": "Dana",
        "last_name": "Reyes",
        "title": "VP Sales",
        "company": "Acme GmbH",
        "country": "DE",
        "industry": "software",
        "employees": 500,
    }
    return Lead(**{**values, **fields})


def make_facts(**fields: Any) -> Facts:
    """Return facts: business mailbox, senior, corporate."""
    values: dict[str, Any] = {
        "email_kind": "business",
        "company_domain": "acme.example",
        "seniority": "vp",
        "department": "sales",
        "subject_kind": "corporate",
    }
    return Facts(**{**values, **fields})


def make_origin(**fields: Any) -> Origin:
    """Return a web form's origin with a fresh record."""
    values: dict[str, Any] = {
        "submission_id": new_id(),
        "record_id": new_id(),
        "source_key": "website",
        "source_kind": "web_form",
        "received_at": NOON,
        "is_new_lead": True,
    }
    return Origin(**{**values, **fields})


def make_score(**fields: Any) -> Score:
    """Return grade A, MQL."""
    values: dict[str, Any] = {
        "points": 75.0,
        "raw": 75.0,
        "fit": 50.0,
        "engagement": 25.0,
        "grade": "A",
        "is_mql": True,
        "model_version": "1",
        "scored_at": NOON,
    }
    return Score(**{**values, **fields})


def make_verdict(**fields: Any) -> ConsentVerdict:
    """Return e-mail and phone allowed."""
    values: dict[str, Any] = {
        "decision_id": new_id(),
        "channels": ("email", "phone"),
        "purpose": "sales_contact",
        "rule_id": "US-CANSPAM",
        "reason": "opt_out_regime",
        "table_version": "1",
        "jurisdiction": "US",
        "decided_at": NOON,
    }
    return ConsentVerdict(**{**values, **fields})


def make_owner(**fields: Any) -> Owner:
    """Return rep one of pool default."""
    values: dict[str, Any] = {
        "assignment_id": new_id(),
        "rep_id": "rep-1",
        "rep_name": "Rep One",
        "team": "inbound",
        "pool": "default",
        "rule_id": "default",
        "document_version": "1",
        "assigned_at": NOON,
    }
    return Owner(**{**values, **fields})


def make_captured(lead_id: str | None = None, **fields: Any) -> LeadCaptured:
    """Return a captured lead."""
    values: dict[str, Any] = {"lead_id": lead_id or new_id(), "origin": make_origin(), "lead": make_lead()}
    return LeadCaptured(**{**values, **fields})


def make_enriched(lead_id: str | None = None, **fields: Any) -> LeadEnriched:
    """Return an enriched lead."""
    values: dict[str, Any] = {
        "lead_id": lead_id or new_id(),
        "origin": make_origin(),
        "lead": make_lead(),
        "facts": make_facts(),
    }
    return LeadEnriched(**{**values, **fields})


def make_scored(lead_id: str | None = None, **fields: Any) -> LeadScored:
    """Return a scored lead."""
    values: dict[str, Any] = {
        "lead_id": lead_id or new_id(),
        "origin": make_origin(),
        "lead": make_lead(),
        "facts": make_facts(),
        "score": make_score(),
        "trigger": "submission",
    }
    return LeadScored(**{**values, **fields})


def make_cleared(lead_id: str | None = None, **fields: Any) -> LeadCleared:
    """Return a lead that may be contacted."""
    values: dict[str, Any] = {
        "lead_id": lead_id or new_id(),
        "origin": make_origin(),
        "lead": make_lead(),
        "facts": make_facts(),
        "score": make_score(),
        "verdict": make_verdict(),
        "trigger": "submission",
    }
    return LeadCleared(**{**values, **fields})


def make_assigned(lead_id: str | None = None, **fields: Any) -> LeadAssigned:
    """Return a lead with an owner."""
    values: dict[str, Any] = {
        "lead_id": lead_id or new_id(),
        "origin": make_origin(),
        "lead": make_lead(),
        "facts": make_facts(),
        "score": make_score(),
        "verdict": make_verdict(),
        "owner": make_owner(),
    }
    return LeadAssigned(**{**values, **fields})


def make_activity(lead_id: str | None = None, **fields: Any) -> ActivityRecorded:
    """Return a demo request."""
    values: dict[str, Any] = {
        "lead_id": lead_id or new_id(),
        "activity_id": new_id(),
        "kind": "demo_request",
        "occurred_at": NOON,
        "origin": make_origin(),
    }
    return ActivityRecorded(**{**values, **fields})
