"""Routes of the quarantine: look, replay, give up."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ingest.delivery_body import content_type_of
from ingest.domain.form_body import boundary_of, parse_multipart, parse_urlencoded
from ingest.domain.json_guard import JsonLimits, parse_json
from ingest.domain.redaction import redact
from ingest.domain.refusal import RefusedBody
from ingest.replay import Replay
from ingest.repository import IngestRepository
from shared.db import Record
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    Problem,
    Strict,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    require_scope,
)
from shared.runtime import Runtime

RecordId = Annotated[UUID, Path(description="The record.")]
_ALL_KEYS = JsonLimits(keys=1_000_000)


class QuarantinedView(BaseModel):
    """One record that no mapping could place. ``payload``: field names and the shapes of values, never the values."""

    record_id: str
    submission_id: str
    source_key: str
    reason: str
    received_at: datetime
    content_type: str | None
    payload: Any


class ReplayedRecord(BaseModel):
    """What a record became."""

    record_id: str
    nature: str
    lead_id: str | None


class ReplayView(BaseModel):
    """The records of one replay."""

    records: list[ReplayedRecord]


class DiscardRequest(Strict):
    """Why the record is given up."""

    reason: str = Field(min_length=3, max_length=300)


def quarantine_routes(runtime: Runtime[IngestRepository], replay: Replay) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["quarantine"], route_class=IdempotentRoute)

    @router.get("/v1/quarantine", dependencies=[require_scope("leads:read")])
    async def list_quarantined(
        reason: Annotated[str | None, Query(max_length=60, description="Only this reason.")] = None,
        source: Annotated[str | None, Query(max_length=64, description="Only this source's key.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[QuarantinedView]:
        """Return quarantined records, oldest first."""
        after = _uuid(decode_cursor(cursor, size=1)[0]) if cursor is not None else None
        async with runtime.read() as repo:
            rows = await repo.quarantine.list_quarantined(
                reason=reason, source_key=source, after=after, limit=limit + 1
            )
        items = [_view(row) for row in rows[:limit]]
        return Page(items=items, next_cursor=encode_cursor(items[-1].record_id) if len(rows) > limit else None)

    @router.post("/v1/quarantine/{record_id}/replay")
    async def replay_record(
        record_id: RecordId, principal: Annotated[Principal, require_scope("ops:replay")]
    ) -> ReplayView:
        """Map the record again with the source as it is now. Twice is refused, so it cannot become two leads."""
        results = await replay.replay(str(record_id), principal.client_id)
        return ReplayView(
            records=[
                ReplayedRecord(record_id=result.record_id, nature=result.nature, lead_id=result.lead_id)
                for result in results
            ]
        )

    @router.post("/v1/quarantine/{record_id}/discard", status_code=204)
    async def discard_record(
        record_id: RecordId, request: DiscardRequest, principal: Annotated[Principal, require_scope("ops:replay")]
    ) -> None:
        """Give the record up; it stays counted, as discarded."""
        async with runtime.work() as work:
            if not await work.repo.ledger.discard(str(record_id), work.now):
                raise Problem(409, "not_quarantined", "This record is not in quarantine (any more)")
            work.audit(
                actor=principal.client_id,
                action="quarantine.discard",
                subject=str(record_id),
                before={"state": "quarantined"},
                after={"state": "discarded"},
                why=request.reason,
            )

    return router


def _view(row: Record) -> QuarantinedView:
    headers = msgspec.json.decode(row["headers"], type=dict[str, str]) if row["headers"] is not None else {}
    return QuarantinedView(
        record_id=str(row["record_id"]),
        submission_id=str(row["submission_id"]),
        source_key=row["source_key"],
        reason=row["reason"],
        received_at=row["received_at"],
        content_type=headers.get("content-type"),
        payload=_shape_of(row["body"], headers) if row["body"] is not None else None,
    )


def _shape_of(body: bytes, headers: dict[str, str]) -> Any:
    raw = {name.encode(): value.encode("latin-1", "replace") for name, value in headers.items()}
    media_type, _ = content_type_of(raw)
    try:
        if media_type == "application/x-www-form-urlencoded":
            return redact(parse_urlencoded(body))
        if media_type == "multipart/form-data":
            return redact(parse_multipart(body, boundary_of(raw[b"content-type"]) or b""))
        return redact(parse_json(body, _ALL_KEYS))
    except RefusedBody:
        return None


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid_cursor() from None
