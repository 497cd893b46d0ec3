"""Routes that rotate a source's secrets: several may be active, so no delivery is rejected while a sender changes."""

from datetime import timedelta

import msgspec
from fastapi import APIRouter, Response

from ingest.api_source_views import SecretAdd, SourceWithSecret
from ingest.api_sources import Manager, SourceKey, audited, checked_secret, lock_source, seal_secret, show_source
from ingest.repository import IngestRepository
from ingest.sources import SourceDirectory
from shared.http import IdempotentRoute, Problem
from shared.runtime import Runtime

MAX_SECRETS = 5


def source_secret_routes(runtime: Runtime[IngestRepository], sources: SourceDirectory) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["sources"], route_class=IdempotentRoute)

    @router.post("/v1/sources/{key}/secrets", status_code=201)
    async def add_secret(key: SourceKey, request: SecretAdd, principal: Manager) -> SourceWithSecret:
        """Add a secret beside the active ones, so that no delivery is rejected while the sender changes over."""
        async with runtime.work() as work:
            before = await lock_source(work.repo, key)
            secret = checked_secret(before.kind, request.secret)
            active = [item for item in before.secrets if item.expires_at is None or item.expires_at > work.now]
            if len(active) >= MAX_SECRETS:
                raise Problem(409, "too_many_secrets", f"At most {MAX_SECRETS} secrets may be active")
            if request.retire_others_after_seconds is not None:
                end = work.now + timedelta(seconds=request.retire_others_after_seconds)
                active = [msgspec.structs.replace(item, expires_at=min(end, item.expires_at or end)) for item in active]
            after = msgspec.structs.replace(
                before, secrets=(*active, seal_secret(runtime.secrets, secret, work.now)), updated_at=work.now
            )
            await work.repo.sources.update(after)
            work.audit(
                actor=principal.client_id,
                action="source.secret.add",
                subject=key,
                before=audited(before),
                after=audited(after),
                why=request.why,
            )
        await sources.refresh()
        return await show_source(runtime, key, secret)

    @router.delete("/v1/sources/{key}/secrets/{secret_id}", status_code=204)
    async def remove_secret(key: SourceKey, secret_id: str, principal: Manager) -> Response:
        """Remove a secret at once."""
        async with runtime.work() as work:
            before = await lock_source(work.repo, key)
            kept = tuple(item for item in before.secrets if item.secret_id != secret_id)
            if len(kept) == len(before.secrets):
                raise Problem(404, "secret_not_found", "No such secret")
            after = msgspec.structs.replace(before, secrets=kept, updated_at=work.now)
            await work.repo.sources.update(after)
            work.audit(
                actor=principal.client_id,
                action="source.secret.remove",
                subject=key,
                before=audited(before),
                after=audited(after),
            )
        await sources.refresh()
        return Response(status_code=204)

    return router
