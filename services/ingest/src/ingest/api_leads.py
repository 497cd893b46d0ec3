"""Routes about submissions and leads, and the CRM's way to report what became of a lead."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Path, Request
from pydantic import BaseModel, Field

from ingest.capture import Capture
from ingest.domain.arrival import Arrival
from ingest.domain.records import ActivityRecord
from ingest.door import Door, idempotency_key_of
from ingest.repository import IngestRepository
from shared.contracts import ActivityKind, Lead
from shared.db import Record
from shared.http import Instant, Problem, Strict, require_scope
from shared.ids import new_id
from shared.runtime import Runtime

LeadId = Annotated[UUID, Path(description="The lead.")]
API_SOURCE = "api"
_MAX_LEAD_TIME = timedelta(minutes=5)  # clocks of callers differ; a later instant is a mistake
_MOST_RECORDS = 100
_NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"  # a NUL would be refused by a later service's database, and park the lead
_Name = Annotated[str, Field(max_length=60, pattern=_NO_CONTROL)]
_Code = Annotated[str, Field(max_length=100, pattern=_NO_CONTROL)]


class RecordView(BaseModel):
    """One record of a submission. ``state``: where the ledger has it."""

    record_id: str
    submission_id: str
    source_key: str
    nature: str
    state: str
    reason: str | None
    lead_id: str | None
    received_at: datetime
    state_at: datetime


class SubmissionView(BaseModel):
    """One delivery as it was received, without its body."""

    submission_id: str
    source_key: str
    source_kind: str
    received_at: datetime
    content_type: str | None
    body_bytes: int
    records: list[RecordView]


class IdentityView(BaseModel):
    """One key that this lead is recognised by."""

    kind: str
    value: str


class LeadView(BaseModel):
    """A lead as merged and enriched. ``fields`` and ``facts`` are null until the enrich worker has seen it."""

    lead_id: str
    identities: list[IdentityView]
    fields: dict[str, Any] | None
    facts: dict[str, Any] | None
    latest_at: datetime | None
    enriched_at: datetime | None
    records: list[RecordView]


class ActivityRequest(Strict):
    """What a known lead did, or what the CRM says of it. ``detail``: codes, no free text."""

    kind: ActivityKind
    occurred_at: Instant | None = None
    detail: dict[_Name, _Code] = Field(default_factory=dict, max_length=20)


class ActivityView(BaseModel):
    """The recorded activity."""

    activity_id: str
    lead_id: str
    submission_id: str
    duplicate: bool


def lead_routes(runtime: Runtime[IngestRepository], door: Door, capture: Capture) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["leads"])

    @router.get("/v1/submissions/{submission_id}", dependencies=[require_scope("leads:read")])
    async def get_submission(submission_id: Annotated[UUID, Path(description="The submission.")]) -> SubmissionView:
        """Return what was received and what became of it."""
        async with runtime.read() as repo:
            row = await repo.leads.find_submission(str(submission_id))
            records = await repo.leads.list_records_of(row["record_ids"]) if row is not None else []
        if row is None:
            raise Problem(404, "submission_not_found", "No such submission, or it is no longer kept")
        return SubmissionView(
            submission_id=row["submission_id"],
            source_key=row["source_key"],
            source_kind=row["source_kind"],
            received_at=row["received_at"],
            content_type=msgspec.json.decode(row["headers"], type=dict[str, str]).get("content-type"),
            body_bytes=len(row["body"]),
            records=[_record(record, row["submission_id"], record["lead_id"]) for record in records],
        )

    @router.get("/v1/leads/{lead_id}", dependencies=[require_scope("leads:read")])
    async def get_lead(lead_id: LeadId) -> LeadView:
        """Return the lead: how it is recognised, what is known, and its hundred latest records."""
        key = str(lead_id)
        async with runtime.read() as repo:
            identities = await repo.leads.list_identities(key)
            lead = await repo.leads.find_lead(key)
            records = await repo.leads.list_records(key, _MOST_RECORDS)
        if not identities and lead is None:
            raise _no_lead()
        return LeadView(
            lead_id=key,
            identities=[IdentityView(kind=row["kind"], value=row["value"]) for row in identities],
            fields=msgspec.json.decode(lead["fields"]) if lead is not None else None,
            facts=msgspec.json.decode(lead["facts"]) if lead is not None else None,
            latest_at=lead["latest_at"] if lead is not None else None,
            enriched_at=lead["enriched_at"] if lead is not None else None,
            records=[_record(record, record["submission_id"], key) for record in records],
        )

    @router.post("/v1/leads/{lead_id}/activities", status_code=201, dependencies=[require_scope("ingest:write")])
    async def record_activity(
        lead_id: LeadId,
        activity: ActivityRequest,
        request: Request,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> ActivityView:
        """Record an activity; with an Idempotency-Key, once, however often it is sent."""
        now = runtime.clock.now()
        occurred_at = activity.occurred_at or now
        if occurred_at > now + _MAX_LEAD_TIME:
            raise Problem(422, "invalid_request", "The request does not fit its schema", errors=[
                {"pointer": "/occurred_at", "detail": "lies in the future"}
            ])  # fmt: skip
        body = await request.body()
        record = ActivityRecord(
            lead=Lead(),
            kind=activity.kind,
            occurred_at=min(occurred_at, now),
            detail=activity.detail,
            lead_id=str(lead_id),
        )
        outcome = await door.submit(
            Arrival(
                submission_id=new_id(),
                source_key=API_SOURCE,
                source_kind=API_SOURCE,
                received_at=now,
                records=(capture.number(0, record),),
                body=body,
                headers='{"content-type": "application/json"}',
                idempotency_key=_key(idempotency_key, str(lead_id)),
                fingerprint=hashlib.sha256(body).digest(),
                traceparent=request.scope.get("leadrail.traceparent", ""),
            )
        )
        if outcome.verdict == "lead_unknown":
            raise _no_lead()
        if outcome.verdict == "conflict":
            raise Problem(422, "idempotency_conflict", "This Idempotency-Key was used with another body")
        return ActivityView(
            activity_id=outcome.results[0].record_id,
            lead_id=str(lead_id),
            submission_id=outcome.submission_id,
            duplicate=outcome.verdict == "duplicate",
        )

    return router


def _key(header: str | None, lead_id: str) -> str | None:
    """Return the key to remember: the same one at another lead is another request."""
    return f"{lead_id}:{idempotency_key_of(header.encode('latin-1', 'replace'))}" if header is not None else None


def _record(row: Record, submission_id: str, lead_id: str | None) -> RecordView:
    return RecordView(
        record_id=row["record_id"],
        submission_id=submission_id,
        source_key=row["source_key"],
        nature=row["nature"],
        state=row["state"],
        reason=row["reason"],
        lead_id=lead_id,
        received_at=row["received_at"],
        state_at=row["state_at"],
    )


def _no_lead() -> Problem:
    return Problem(404, "lead_not_found", "No such lead")
