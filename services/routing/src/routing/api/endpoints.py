"""Callback endpoints: where CRMs are told about assignments."""

import asyncio
import secrets
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response

from routing.api.endpoint_views import (
    EndpointChange,
    EndpointView,
    EndpointWithSecret,
    NewEndpoint,
    ReplayedView,
    ReplayRequest,
    SecretView,
)
from routing.api.leads import uuid_in
from routing.delivery.signing import SECRET_BYTES, show_secret
from routing.delivery.target import AllowList, TargetRefused, read_target, resolve
from routing.domain.callback_body import CallbackType
from routing.endpoints import EndpointStore
from routing.repository import RoutingRepository
from routing.settings import RoutingSettings
from shared.db import Record
from shared.http import Cursor, IdempotentRoute, Limit, Page, Principal, Problem, encode_cursor, require_scope
from shared.ids import new_id
from shared.runtime import Runtime, UnitOfWork

RESOLVE_SECONDS = 5.0
Writer = Annotated[Principal, require_scope("routing:write")]


def build_router(runtime: Runtime[RoutingRepository]) -> APIRouter:
    """Return the routes about endpoints."""
    router = APIRouter(tags=["endpoints"], route_class=IdempotentRoute)
    settings = runtime.settings
    assert isinstance(settings, RoutingSettings)
    allowed = AllowList.parse(settings.allowed_private_targets)

    @router.post("/v1/endpoints", status_code=201)
    async def create_endpoint(request: NewEndpoint, response: Response, principal: Writer) -> EndpointWithSecret:
        """Add an endpoint and return its first secret. The URL is checked now and again before each connection."""
        await _check_url(request.url, allowed)
        endpoint_id = new_id()
        values = {**request.model_dump(), "events": _unique(request.events)}
        async with runtime.work() as work:
            await EndpointStore(work.repo.sql).insert(endpoint_id, values, work.now)
            secret = await _add_secret(runtime, work, endpoint_id)
            work.audit(actor=principal.client_id, action="endpoint.created", subject=endpoint_id, after=_safe(values))
            view = await _view(work.repo, endpoint_id)
        response.headers["Location"] = f"/v1/endpoints/{endpoint_id}"
        return EndpointWithSecret(**view.model_dump(), secret=secret)

    @router.get("/v1/endpoints", dependencies=[require_scope("leads:read")])
    async def list_endpoints(limit: Limit = 50, cursor: Cursor = None) -> Page[EndpointView]:
        """Return endpoints, oldest first."""
        async with runtime.read() as repo:
            store = EndpointStore(repo.sql)
            rows = await store.list_page(after=uuid_in(cursor), limit=limit + 1)
            items = await _views(store, rows[:limit])
        more = encode_cursor(items[-1].endpoint_id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.get("/v1/endpoints/{endpoint_id}", dependencies=[require_scope("leads:read")])
    async def get_endpoint(endpoint_id: UUID) -> EndpointView:
        """Return one endpoint."""
        async with runtime.read() as repo:
            return await _view(repo, str(endpoint_id))

    @router.patch("/v1/endpoints/{endpoint_id}")
    async def change_endpoint(endpoint_id: UUID, request: EndpointChange, principal: Writer) -> EndpointView:
        """Change an endpoint. Callbacks on their way still go to the old URL."""
        if request.url is not None:
            await _check_url(request.url, allowed)
        async with runtime.work() as work:
            store = EndpointStore(work.repo.sql)
            row = _found(await store.find(str(endpoint_id), is_locking=True))
            before = {name: row[name] for name in _SETTINGS}
            given = request.model_dump(exclude_none=True, exclude={"why"})
            values = {**before, **given}
            if request.state is not None:
                values["disabled_reason"] = "person" if request.state == "disabled" else None
            await store.update(str(endpoint_id), values, work.now)
            work.audit(
                actor=principal.client_id,
                action="endpoint.changed",
                subject=str(endpoint_id),
                before=_safe(before),
                after=_safe(values),
                why=request.why,
            )
            return await _view(work.repo, str(endpoint_id))

    @router.delete("/v1/endpoints/{endpoint_id}", status_code=204)
    async def remove_endpoint(endpoint_id: UUID, principal: Writer) -> None:
        """End an endpoint. What waits for it is cancelled; to keep it, disable the endpoint instead."""
        async with runtime.work() as work:
            store = EndpointStore(work.repo.sql)
            _found(await store.find(str(endpoint_id), is_locking=True))
            await store.remove(str(endpoint_id), work.now)
            work.audit(actor=principal.client_id, action="endpoint.removed", subject=str(endpoint_id))

    _add_secret_routes(router, runtime)
    _add_replay_route(router, runtime)
    return router


def _add_secret_routes(router: APIRouter, runtime: Runtime[RoutingRepository]) -> None:
    @router.post("/v1/endpoints/{endpoint_id}/secrets", status_code=201)
    async def rotate_secret(endpoint_id: UUID, principal: Writer) -> EndpointWithSecret:
        """Add a secret and return it, once. Callbacks are signed with it and with the one before, until that is
        revoked or the next rotation ends it."""
        async with runtime.work() as work:
            _found(await EndpointStore(work.repo.sql).find(str(endpoint_id), is_locking=True))
            secret = await _add_secret(runtime, work, str(endpoint_id))
            work.audit(actor=principal.client_id, action="endpoint.secret_rotated", subject=str(endpoint_id))
            view = await _view(work.repo, str(endpoint_id))
        return EndpointWithSecret(**view.model_dump(), secret=secret)

    @router.delete("/v1/endpoints/{endpoint_id}/secrets/{secret_id}", status_code=204)
    async def revoke_secret(endpoint_id: UUID, secret_id: UUID, principal: Writer) -> None:
        """End a secret now."""
        async with runtime.work() as work:
            outcome = await EndpointStore(work.repo.sql).revoke_secret(str(endpoint_id), str(secret_id))
            if outcome == "unknown":
                raise Problem(404, "secret_not_found", "No such secret of this endpoint")
            if outcome == "last":
                raise Problem(409, "last_secret", "An endpoint keeps at least one secret", detail="Rotate first.")
            after = {"secret_id": str(secret_id)}
            work.audit(
                actor=principal.client_id, action="endpoint.secret_revoked", subject=str(endpoint_id), after=after
            )


def _add_replay_route(router: APIRouter, runtime: Runtime[RoutingRepository]) -> None:
    @router.post("/v1/endpoints/{endpoint_id}/replay", status_code=202)
    async def replay_callbacks(
        endpoint_id: UUID, request: ReplayRequest, principal: Annotated[Principal, require_scope("ops:replay")]
    ) -> ReplayedView:
        """Make callbacks due again, with the ids and bodies they had; not those of leads that may not be contacted."""
        async with runtime.work() as work:
            store = EndpointStore(work.repo.sql)
            _found(await store.find(str(endpoint_id)))
            until = request.until or work.now
            count = await store.replay(str(endpoint_id), request.since, until, request.states, work.now)
            after = {"since": request.since, "until": until, "states": request.states, "callbacks": count}
            work.audit(
                actor=principal.client_id,
                action="endpoint.replayed",
                subject=str(endpoint_id),
                after=after,
                why=request.why,
            )
        return ReplayedView(callbacks=count)


_SETTINGS = ("url", "events", "description", "max_concurrency", "state", "disabled_reason")


async def _check_url(url: str, allowed: AllowList) -> None:
    """Errors: `Problem` 422 that says why callbacks must not go there."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            await resolve(read_target(url), allowed)
    except TargetRefused as error:
        detail = str(error)
    except (OSError, TimeoutError, UnicodeError):
        detail = "the host does not resolve"
    else:
        return
    errors = [{"pointer": "/url", "detail": detail}]
    raise Problem(422, "target_refused", "Callbacks may not go to this URL", errors=errors)


async def _add_secret(runtime: Runtime[Any], work: UnitOfWork[RoutingRepository], endpoint_id: str) -> str:
    key = secrets.token_bytes(SECRET_BYTES)
    await EndpointStore(work.repo.sql).add_secret(endpoint_id, new_id(), runtime.secrets.seal(key), work.now)
    return show_secret(key)


async def _view(repo: RoutingRepository, endpoint_id: str) -> EndpointView:
    store = EndpointStore(repo.sql)
    return (await _views(store, [_found(await store.find(endpoint_id))]))[0]


async def _views(store: EndpointStore, rows: list[Record]) -> list[EndpointView]:
    ids = [str(row["endpoint_id"]) for row in rows]
    of_endpoint: dict[str, list[SecretView]] = {}
    for row in await store.list_secrets(ids):
        view = SecretView(secret_id=str(row["secret_id"]), created_at=row["created_at"])
        of_endpoint.setdefault(str(row["endpoint_id"]), []).append(view)
    return [
        EndpointView(**{**dict(row), "endpoint_id": endpoint_id, "secrets": of_endpoint.get(endpoint_id, [])})
        for endpoint_id, row in zip(ids, rows, strict=True)
    ]


def _found(row: Record | None) -> Record:
    if row is None:
        raise Problem(404, "endpoint_not_found", "No such endpoint")
    return row


def _safe(values: dict[str, Any]) -> dict[str, Any]:
    """Leave the query of the URL out of the audit: receivers like to put tokens there."""
    return {**values, "url": values["url"].partition("?")[0]}


def _unique(events: list[CallbackType]) -> list[CallbackType]:
    return list(dict.fromkeys(events))
