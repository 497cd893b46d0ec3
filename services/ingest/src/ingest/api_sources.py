"""Routes that manage sources. Every change is audited; a secret is shown once, when it is made, and never again."""

from base64 import b64decode, b64encode
from datetime import datetime
from secrets import token_bytes, token_hex, token_urlsafe
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response

from ingest.api_source_views import KEY_PATTERN, SourceChange, SourceCreate, SourceView, SourceWithSecret
from ingest.domain.senders.registry import SENDERS
from ingest.repository import IngestRepository
from ingest.repository_sources import SealedSecret, StoredSource
from ingest.sources import SourceDirectory
from shared.http import (
    Cursor,
    IdempotentRoute,
    IfMatch,
    Limit,
    Page,
    Principal,
    Problem,
    check_if_match,
    decode_cursor,
    encode_cursor,
    etag_of,
    require_scope,
)
from shared.ids import new_id
from shared.runtime import Runtime
from shared.secret_box import SecretBox

SourceKey = Annotated[str, Path(pattern=KEY_PATTERN, description="The source's key, as in the URL it posts to.")]
Manager = Annotated[Principal, require_scope("config:apply")]


def source_routes(runtime: Runtime[IngestRepository], sources: SourceDirectory) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["sources"], route_class=IdempotentRoute)

    @router.post("/v1/sources", status_code=201)
    async def create_source(request: SourceCreate, response: Response, principal: Manager) -> SourceWithSecret:
        """Create a source."""
        sender = SENDERS.get(request.kind)
        if sender is None:
            raise _invalid("/kind", "one of " + ", ".join(sorted(SENDERS)))
        secret = checked_secret(request.kind, request.secret) if sender.needs_secret else None
        async with runtime.work() as work:
            stored = StoredSource(
                key=request.key or f"{request.kind.replace('_', '-')}-{token_hex(12)}",
                kind=request.kind,
                name=request.name,
                secrets=(seal_secret(runtime.secrets, secret, work.now),) if secret is not None else (),
                defaults=request.defaults.to_domain(),
                field_mapping=request.field_mapping,
                allowed_origins=tuple(request.allowed_origins),
                honeypot_field=request.honeypot_field,
                is_suspended=False,
                created_at=work.now,
                updated_at=work.now,
            )
            if not await work.repo.sources.insert(stored):
                raise Problem(409, "source_exists", "This key is taken")
            work.audit(
                actor=principal.client_id,
                action="source.create",
                subject=stored.key,
                after=audited(stored),
                why=request.why,
            )
        await sources.refresh()
        view = await show_source(runtime, stored.key, secret)
        response.headers["Location"] = f"/v1/sources/{stored.key}"
        response.headers["ETag"] = etag_of(view.revision)
        return view

    @router.get("/v1/sources", dependencies=[require_scope("config:apply")])
    async def list_sources(limit: Limit = 50, cursor: Cursor = None) -> Page[SourceView]:
        """Return all sources by key."""
        after = decode_cursor(cursor, size=1)[0] if cursor is not None else ""
        async with runtime.read() as repo:
            rows = await repo.sources.list_after(after, limit + 1)
        items = [SourceView.of(row) for row in rows[:limit]]
        return Page(items=items, next_cursor=encode_cursor(items[-1].key) if len(rows) > limit else None)

    @router.get("/v1/sources/{key}", dependencies=[require_scope("config:apply")])
    async def get_source(key: SourceKey, response: Response) -> SourceView:
        """Return one source, with the ``ETag`` that a change may name."""
        async with runtime.read() as repo:
            stored = await repo.sources.find(key)
        if stored is None:
            raise _no_source()
        response.headers["ETag"] = etag_of(stored.revision)
        return SourceView.of(stored)

    @router.patch("/v1/sources/{key}")
    async def change_source(
        key: SourceKey, request: SourceChange, response: Response, principal: Manager, if_match: IfMatch = None
    ) -> SourceView:
        """Change the fields that are sent; with ``If-Match``, only if nobody changed the source since it was read."""
        async with runtime.work() as work:
            before = await lock_source(work.repo, key)
            check_if_match(if_match, before.revision)
            sent: dict[str, Any] = {name: getattr(request, name) for name in request.model_fields_set - {"why"}}
            if "defaults" in sent:
                sent["defaults"] = request.defaults.to_domain()
            if "allowed_origins" in sent:
                sent["allowed_origins"] = tuple(request.allowed_origins)
            after = msgspec.structs.replace(before, **sent, updated_at=work.now)
            await work.repo.sources.update(after)
            work.audit(
                actor=principal.client_id,
                action="source.change",
                subject=key,
                before=audited(before),
                after=audited(after),
                why=request.why,
            )
        await sources.refresh()
        return await get_source(key, response)

    @router.delete("/v1/sources/{key}", status_code=204)
    async def delete_source(key: SourceKey, principal: Manager, if_match: IfMatch = None) -> Response:
        """Delete a source: its deliveries get 404, and some senders then give up for good. Suspending is safer."""
        async with runtime.work() as work:
            before = await lock_source(work.repo, key)
            check_if_match(if_match, before.revision)
            await work.repo.sources.delete(key)
            work.audit(actor=principal.client_id, action="source.delete", subject=key, before=audited(before))
        await sources.refresh()
        return Response(status_code=204)

    return router


async def lock_source(repo: IngestRepository, key: str) -> StoredSource:
    """Return the source, locked until the transaction ends. Errors: `Problem` 404."""
    stored = await repo.sources.find(key, is_locked=True)
    if stored is None:
        raise _no_source()
    return stored


async def show_source(runtime: Runtime[IngestRepository], key: str, secret: str | None) -> SourceWithSecret:
    """Return the source with the secret just made."""
    async with runtime.read() as repo:
        stored = await repo.sources.find(key)
    if stored is None:
        raise _no_source()
    return SourceWithSecret(**SourceView.of(stored).model_dump(), secret=secret)


def checked_secret(kind: str, given: str | None) -> str:
    """Return the secret to use. Errors: `Problem` 422 for one that this kind of sender cannot have."""
    prefix = SENDERS[kind].secret_prefix
    if given is None:
        return prefix + b64encode(token_bytes(24)).decode() if prefix else token_urlsafe(32)
    if prefix and not _is_base64_of_16_bytes(given.removeprefix(prefix)):
        raise _invalid("/secret", f"{prefix} and at least 16 bytes in base64")
    return given


def _is_base64_of_16_bytes(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) >= 16
    except ValueError:
        return False


def seal_secret(box: SecretBox, secret: str, now: datetime) -> SealedSecret:
    return SealedSecret(secret_id=new_id(), sealed=box.seal(secret.encode()), created_at=now)


def audited(stored: StoredSource) -> dict[str, Any]:
    return SourceView.of(stored).model_dump(mode="json", exclude={"created_at", "updated_at", "revision"})


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem(
        422, "invalid_request", "The request does not fit its schema", errors=[{"pointer": pointer, "detail": detail}]
    )


def _no_source() -> Problem:
    return Problem(404, "source_not_found", "No such source")
