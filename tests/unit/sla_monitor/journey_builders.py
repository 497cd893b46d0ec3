"""Facts and rules with every field defaulted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from sla_monitor.domain.facts import Capture, Ending, Ownership, Touch
from sla_monitor.domain.journeys import LeadFile, Rules
from sla_monitor.domain.policies import Inputs
from sla_monitor.policy_document import parse_policies

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

DOCUMENT: dict[str, Any] = {
    "stages": [
        {"id": "assign", "starts_with": "capture"},
        {"id": "first_touch", "starts_with": "owner", "met_by": ["first_touch", "meeting", "accepted"]},
    ],
    "calendars": [{"id": "always", "always_open": True}],
    "policies": [
        {
            "id": "assign_any",
            "stage": "assign",
            "calendar": "always",
            "target": "5m",
            "at_risk": {"fraction": 0.6},
            "escalate_after": "25m",
        },
        {
            "id": "touch_us",
            "stage": "first_touch",
            "when": {"country": ["US"]},
            "calendar": "always",
            "starts_at": "assigned",
            "target": "2h",
        },
        {
            "id": "touch_any",
            "stage": "first_touch",
            "calendar": "always",
            "target": "1h",
            "at_risk": {"before": "15m"},
            "on_breach": {"action": "reassign", "max_reassignments": 2},
            "escalate_after": "1h",
        },
    ],
}


def make_rules(document: dict[str, Any] | None = None) -> Rules:
    return Rules("1", {"1": parse_policies(yaml.safe_dump(document or DOCUMENT))})


def make_file() -> LeadFile:
    return LeadFile("lead-1")


def make_inputs(**fields) -> Inputs:
    values = {"source_kind": "web_form", "source_key": "website", "is_new_lead": True, "country": "DE"}
    return Inputs(**{**values, **fields})


def make_capture(record_id: str = "record-1", received_at: datetime = NOON) -> Capture:
    return Capture(record_id, received_at, make_inputs())


def make_ownership(kind: str = "assigned", minute: float = 1, **fields) -> Ownership:
    values = {
        "kind": kind,
        "at": NOON + minute * MINUTE,
        "record_id": "record-1",
        "received_at": NOON,
        "assignment_id": "assignment-1",
        "rep_id": "rep-1",
        "inputs": make_inputs(grade="A", is_mql=True, points=75.0),
    }
    return Ownership(**{**values, **fields})


def make_touch(minute: float, kind: str = "first_touch", activity_id: str | None = None) -> Touch:
    return Touch(activity_id or f"activity-{minute}", kind, NOON + minute * MINUTE)


def make_ending(kind: Any, minute: float, record_id: str = "record-1") -> Ending:
    return Ending(kind, NOON + minute * MINUTE, record_id)
