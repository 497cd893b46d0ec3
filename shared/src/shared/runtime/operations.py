"""Routes every service has for its operators: parking, dead letters, audit, rule documents."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from shared.db import Sql
from shared.documents import DocumentInvalid, DocumentNotFound, DocumentStore
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
from shared.runtime.failures import is_dependency_failure
from shared.runtime.release import NotParked, retry_key, skip_first
from shared.runtime.service import Runtime

MAX_INT = 2**31 - 1
MAX_BIGINT = 2**63 - 1


class ParkedEvent(BaseModel):
    """An event that waits for a person."""

    consumer: str
    lead_id: str
    event_id: str
    type: str
    topic: str
    partition: int
    offset: int
    error: str
    parked_at: datetime


class DeadLetterView(BaseModel):
    """A record that could not be decoded. ``payload`` is its length only: the bytes may be personal data."""

    consumer: str
    topic: str
    partition: int
    offset: int
    reason: str
    payload_bytes: int
    at: datetime


class AuditView(BaseModel):
    """Who changed what, and why."""

    audit_id: str
    at: datetime
    actor: str
    action: str
    subject: str
    before: Any
    after: Any
    why: str | None


class DocumentVersion(BaseModel):
    """One stored version of a rule document."""

    version: int
    created_at: datetime
    created_by: str
    why: str
    is_live: bool
    body: str | None = None


class Reason(Strict):
    """Why somebody does this; kept in the audit."""

    why: str = Field(min_length=3, max_length=500)


class Draft(Reason):
    """A new version: YAML text."""

    body: str = Field(max_length=512 * 1024)


class Remaining(BaseModel):
    """What a parking operation did."""

    released: int
    remaining: int


def operations_router(runtime: Runtime[Any]) -> APIRouter:
    """Return the operators' routes of one service."""
    router = APIRouter(tags=["operations"], route_class=IdempotentRoute)
    _add_parking(router, runtime)
    _add_lists(router, runtime)
    for store in runtime.service.documents:
        _add_documents(router, runtime, store)
    return router


def _add_parking(router: APIRouter, runtime: Runtime[Any]) -> None:
    @router.get("/v1/parking", dependencies=[require_scope("ops:replay")])
    async def list_parked(
        consumer: Annotated[str | None, Query(max_length=200, description="Only events of this consumer.")] = None,
        lead_id: Annotated[str | None, Query(max_length=500, description="Only events of this lead.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[ParkedEvent]:
        """List parked events, oldest first."""
        after = _number_in(cursor, most=MAX_BIGINT) if cursor is not None else 0
        async with runtime.database.connection() as sql:
            rows = await sql.fetch(
                'SELECT parked_id, consumer, key AS lead_id, event_id::text, type, topic, partition, "offset", error,'
                " parked_at FROM parked WHERE parked_id > $1 AND ($3::text IS NULL OR consumer = $3)"
                " AND ($4::text IS NULL OR key = $4) ORDER BY parked_id LIMIT $2",
                after,
                limit + 1,
                consumer,
                lead_id,
            )
        return _page([ParkedEvent(**row) for row in rows], limit, [str(row["parked_id"]) for row in rows])

    # As a path: the id of a damaged event may hold a slash, and it must not wait for ever for that.
    @router.post("/v1/parking/{consumer}/{lead_id:path}/retry")
    async def retry(
        consumer: str, lead_id: str, principal: Annotated[Principal, require_scope("ops:replay")]
    ) -> Remaining:
        """Handle the lead's parked events again, in order, all or none."""
        _known_consumer(runtime, consumer)
        try:
            released = await retry_key(runtime, consumer, lead_id, principal.client_id)
        except NotParked as error:
            raise Problem(404, "not_parked", "Nothing of this lead is parked here") from error
        except Exception as error:
            if is_dependency_failure(error):
                raise
            raise Problem(
                409, "still_failing", "The event fails again; it stays parked", type(error).__name__
            ) from error
        return Remaining(released=released, remaining=0)

    @router.post("/v1/parking/{consumer}/{lead_id:path}/skip")
    async def skip(
        consumer: str, lead_id: str, reason: Reason, principal: Annotated[Principal, require_scope("ops:replay")]
    ) -> Remaining:
        """Give up the lead's first parked event; the ones behind it stay and can be retried."""
        _known_consumer(runtime, consumer)
        try:
            remaining = await skip_first(runtime, consumer, lead_id, principal.client_id, reason.why)
        except NotParked as error:
            raise Problem(404, "not_parked", "Nothing of this lead is parked here") from error
        return Remaining(released=1, remaining=remaining)


def _known_consumer(runtime: Runtime[Any], consumer: str) -> None:
    if consumer not in runtime.processors:
        raise Problem(404, "unknown_consumer", "This service has no such consumer", ", ".join(runtime.processors))


def _add_lists(router: APIRouter, runtime: Runtime[Any]) -> None:
    @router.get("/v1/dead-letters", dependencies=[require_scope("ops:replay")])
    async def list_dead_letters(limit: Limit = 50, cursor: Cursor = None) -> Page[DeadLetterView]:
        """List records that could not be decoded, oldest first."""
        after = _number_in(cursor, most=MAX_BIGINT) if cursor is not None else 0
        async with runtime.database.connection() as sql:
            rows = await sql.fetch(
                'SELECT dead_letter_id, consumer, topic, partition, "offset", reason, length(payload) AS payload_bytes,'
                " at FROM dead_letter WHERE dead_letter_id > $1 ORDER BY dead_letter_id LIMIT $2",
                after,
                limit + 1,
            )
        return _page([DeadLetterView(**row) for row in rows], limit, [str(row["dead_letter_id"]) for row in rows])

    @router.get("/v1/audit", dependencies=[require_scope("admin")])
    async def list_audit(
        subject: Annotated[str | None, Query(max_length=200, description="Only changes of this subject.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[AuditView]:
        """List changes, newest first."""
        before = _id_in(cursor) if cursor is not None else "ffffffff-ffff-ffff-ffff-ffffffffffff"
        async with runtime.database.connection() as sql:
            rows = await sql.fetch(
                "SELECT audit_id::text, at, actor, action, subject, before::text, after::text, why FROM audit"
                " WHERE audit_id < $1::uuid AND ($3::text IS NULL OR subject = $3) ORDER BY audit_id DESC LIMIT $2",
                before,
                limit + 1,
                subject,
            )
        views = [AuditView(**{**row, "before": _parsed(row["before"]), "after": _parsed(row["after"])}) for row in rows]
        return _page(views, limit, [row["audit_id"] for row in rows])


def _add_documents(router: APIRouter, runtime: Runtime[Any], store: DocumentStore[Any]) -> None:
    base = f"/v1/documents/{store.kind}"
    version_path = Annotated[int, Path(ge=1, le=MAX_INT)]

    @router.get(f"{base}/versions", dependencies=[require_scope("config:plan")], name=f"list_{store.kind}")
    async def list_versions(limit: Limit = 50, cursor: Cursor = None) -> Page[DocumentVersion]:
        """List versions, newest first; ``is_live`` marks the one in force."""
        before = _number_in(cursor, most=MAX_INT) if cursor is not None else None
        async with runtime.database.connection() as sql:
            rows = await store.list_versions(sql, before=before, limit=limit + 1)
        return _page([DocumentVersion(**row) for row in rows], limit, [str(row["version"]) for row in rows])

    @router.post(f"{base}/versions", status_code=201, name=f"create_{store.kind}")
    async def create(draft: Draft, principal: Annotated[Principal, require_scope("config:plan")]) -> DocumentVersion:
        """Validate a draft and store it as the next version; it decides nothing until applied."""
        try:
            await store.check(draft.body)  # before the transaction: it would be idle meanwhile, and be ended for that
        except DocumentInvalid as error:
            raise Problem(422, "invalid_document", "The document is not valid", errors=error.errors) from error
        async with runtime.work_with(_sql) as work:
            version = await store.create(
                work.repo, body=draft.body, now=work.now, actor=principal.client_id, why=draft.why
            )
            work.audit(
                actor=principal.client_id,
                action=f"{store.kind}.drafted",
                subject=f"{store.kind}/{version}",
                after={"version": version},
                why=draft.why,
            )
        return await _view(version)

    @router.get(f"{base}/versions/{{version}}", dependencies=[require_scope("config:plan")], name=f"get_{store.kind}")
    async def get(version: version_path) -> DocumentVersion:
        """Return one version with its text."""
        return await _view(version)

    @router.post(f"{base}/versions/{{version}}/apply", name=f"apply_{store.kind}")
    async def apply(
        version: version_path, reason: Reason, principal: Annotated[Principal, require_scope("config:apply")]
    ) -> DocumentVersion:
        """Put a version into force. New decisions use it within a second, everywhere."""
        await _apply(version, reason.why, principal, "applied")
        return await _view(version)

    @router.post(f"{base}/rollback", name=f"roll_back_{store.kind}")
    async def roll_back(
        reason: Reason, principal: Annotated[Principal, require_scope("config:apply")]
    ) -> DocumentVersion:
        """Put the version before the present one back into force."""
        return await _view(await _apply(None, reason.why, principal, "rolled_back"))

    async def _apply(wanted: int | None, why: str, principal: Principal, action: str) -> int:
        async with runtime.work_with(_sql) as work:
            version = await store.previous_version(work.repo) if wanted is None else wanted
            if version is None:
                raise Problem(409, "no_previous_version", "Nothing was in force before this version")
            try:
                before, _ = await store.apply(
                    work.repo, version=version, now=work.now, actor=principal.client_id, why=why
                )
            except (DocumentNotFound, DocumentInvalid) as error:
                raise _inapplicable(error) from error
            work.audit(
                actor=principal.client_id,
                action=f"{store.kind}.{action}",
                subject=store.kind,
                before={"version": before},
                after={"version": version},
                why=why,
            )
        async with runtime.database.connection() as sql:
            await store.refresh(sql)
        return version

    async def _view(version: int) -> DocumentVersion:
        async with runtime.database.connection() as sql:
            row = await store.find_body(sql, version)
        if row is None:
            raise Problem(404, "no_such_version", "No such version")
        return DocumentVersion(**{key: row[key] for key in DocumentVersion.model_fields})


def _page(items: list[Any], limit: int, keys: Sequence[str]) -> Page[Any]:
    next_cursor = encode_cursor(keys[limit - 1]) if len(items) > limit else None
    return Page[Any](items=items[:limit], next_cursor=next_cursor)


def _inapplicable(error: DocumentNotFound | DocumentInvalid) -> Problem:
    if isinstance(error, DocumentInvalid):  # stored by another release
        return Problem(409, "unreadable_version", "This release cannot read that version", errors=error.errors)
    return Problem(404, "no_such_version", "No such version")


def _number_in(cursor: str, *, most: int) -> int:
    [text] = decode_cursor(cursor, size=1)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
        raise invalid_cursor()
    return int(text)


def _id_in(cursor: str) -> str:
    [text] = decode_cursor(cursor, size=1)
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid_cursor() from None


def _sql(sql: Sql) -> Sql:
    return sql


def _parsed(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)
