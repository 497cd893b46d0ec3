"""What the API answers about leads, assignments and callbacks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import BaseModel, StringConstraints

from shared.db import Record
from shared.http import Instant

NO_CONTROL = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
Why = Annotated[str, StringConstraints(min_length=3, max_length=500, pattern=NO_CONTROL)]
Since = Annotated[Instant | None, Query(description="Only what happened at or after this instant.")]
RepId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
RepPath = Annotated[str, Path(max_length=63, description="Id of the rep.")]


class AssignmentView(BaseModel):
    """A lead in the hands of a rep. ``state``: open (not worked yet), worked (a deadline was met), ended."""

    assignment_id: str
    lead_id: str
    rep_id: str
    rep_name: str
    team: str
    pool: str
    rule_id: str
    via: str
    document_version: str
    source_key: str
    decision_id: str
    assigned_at: datetime
    state: str
    worked_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


class DecisionView(BaseModel):
    """A decision with its whole trace: inputs, every rule and member with the reason it lost, versions, counters."""

    decision_id: str
    lead_id: str
    decided_at: datetime
    outcome: str
    trace: dict[str, Any]


class WaitingView(BaseModel):
    """A lead in the fallback queue."""

    lead_id: str
    reason: str
    rule_id: str | None
    source_key: str
    decision_id: str
    queued_at: datetime


class AttemptView(BaseModel):
    """One HTTP try. ``at``: when it started, for a failed one; when it was recorded, for the one that arrived."""

    attempt: int
    at: datetime
    duration_ms: int | None
    outcome: str
    status: int | None


class CallbackView(BaseModel):
    """A delivery to one endpoint. ``state``: pending, delivered, failed (schedule used up), cancelled (consent was
    withdrawn or the endpoint removed), superseded (a newer callback about the lead says more)."""

    callback_id: str
    endpoint_id: str
    lead_id: str
    event_type: str
    state: str
    created_at: datetime
    due_at: datetime | None
    attempts: int
    settled_at: datetime | None
    last_status: int | None
    last_outcome: str | None
    tries: list[AttemptView]


class LeadRoutingView(BaseModel):
    """Everything routing knows of a lead. ``state``: assigned, fallback_queue, withheld (consent was withdrawn),
    unassigned (nurtured, or not decided yet)."""

    lead_id: str
    state: str
    owner: AssignmentView | None
    waiting: WaitingView | None
    blocked_at: datetime | None
    decision: DecisionView | None
    history: list[AssignmentView]
    decisions: list[DecisionView]
    callbacks: list[CallbackView]


def assignment_view(row: Record) -> AssignmentView:
    """Return the assignment in a row."""
    state = "ended" if row["ended_at"] is not None else ("worked" if row["worked_at"] is not None else "open")
    return AssignmentView(**_texts(row), state=state)


def decision_view(row: Record) -> DecisionView:
    """Return the decision in a row."""
    values = _texts(row)
    return DecisionView(**{**values, "trace": msgspec.json.decode(values["trace"])})


def waiting_view(row: Record) -> WaitingView:
    """Return the place in the queue in a row."""
    return WaitingView(**_texts(row))


def callback_views(rows: Sequence[Record], failed: Sequence[Record]) -> list[CallbackView]:
    """Return the callbacks in *rows* with their attempts: the failed ones, and the one that arrived."""
    tries: dict[str, list[AttemptView]] = {}
    for attempt in failed:
        view = AttemptView(
            attempt=attempt["attempt"],
            at=attempt["started_at"],
            duration_ms=attempt["duration_ms"],
            outcome=attempt["outcome"],
            status=attempt["status"],
        )
        tries.setdefault(str(attempt["callback_id"]), []).append(view)
    return [_callback_view(row, tries.get(str(row["callback_id"]), [])) for row in rows]


def _callback_view(row: Record, tries: list[AttemptView]) -> CallbackView:
    values = _texts(row)
    if row["last_outcome"] == "delivered":
        at = row["settled_at"] or row["created_at"]
        tries = [
            *tries,
            AttemptView(
                attempt=row["attempts"],
                at=at,
                duration_ms=row["last_attempt_ms"],
                outcome="delivered",
                status=row["last_status"],
            ),
        ]
    due_at = row["due_at"] if row["state"] == "pending" else None
    return CallbackView(**{**values, "due_at": due_at, "tries": tries})


def _texts(row: Record) -> Mapping[str, Any]:
    """Return a row's values, UUIDs as text: ids are strings everywhere."""
    return {key: str(value) if key.endswith("_id") and value is not None else value for key, value in row.items()}
