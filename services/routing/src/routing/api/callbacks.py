"""Callbacks: what was sent where, with every attempt, and sending again."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from routing.api.leads import uuid_in
from routing.api.views import CallbackView, Since, callback_views
from routing.domain.callback_body import CallbackType
from routing.endpoints import EndpointStore
from routing.repository import RoutingRepository
from shared.http import Cursor, IdempotentRoute, Limit, Page, Principal, Problem, encode_cursor, require_scope
from shared.runtime import Runtime

CallbackState = Literal["pending", "delivered", "failed", "cancelled", "superseded"]


class ResentView(BaseModel):
    """The callback is due again."""

    callback_id: str
    state: str


def build_router(runtime: Runtime[RoutingRepository]) -> APIRouter:
    """Return the routes about callbacks."""
    router = APIRouter(tags=["callbacks"], route_class=IdempotentRoute)

    @router.get("/v1/callbacks", dependencies=[require_scope("leads:read")])
    async def list_callbacks(
        endpoint_id: UUID | None = None,
        state: Annotated[CallbackState | None, Query(description="Only these.")] = None,
        event_type: Annotated[CallbackType | None, Query(description="Only these.")] = None,
        lead_id: UUID | None = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[CallbackView]:
        """Return callbacks, newest first, each with its attempts."""
        filters = {
            "endpoint_id": str(endpoint_id) if endpoint_id else None,
            "state": state,
            "event_type": event_type,
            "lead_id": str(lead_id) if lead_id else None,
            "since": since,
        }
        async with runtime.read() as repo:
            store = EndpointStore(repo.sql)
            rows = await store.list_callbacks(filters, before=uuid_in(cursor), limit=limit + 1)
            failed = await store.list_failed_attempts([str(row["callback_id"]) for row in rows[:limit]])
        items = callback_views(rows[:limit], failed)
        more = encode_cursor(items[-1].callback_id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.post("/v1/callbacks/{callback_id}/resend", status_code=202)
    async def resend_callback(
        callback_id: UUID, principal: Annotated[Principal, require_scope("routing:write")]
    ) -> ResentView:
        """Send a callback again, now, with the same id and body; its schedule starts over. Refused for a cancelled one
        and for a lead whose consent was withdrawn since."""
        async with runtime.work() as work:
            store = EndpointStore(work.repo.sql)
            row = await store.find_callback(str(callback_id))
            if row is None:
                raise Problem(404, "callback_not_found", "No such callback")
            if not await store.resend(str(callback_id), work.now):
                detail = "It was cancelled or superseded, or consent forbids contact with its lead."
                raise Problem(409, "callback_not_resendable", "This callback must not be sent again", detail)
            work.audit(
                actor=principal.client_id,
                action="callback.resent",
                subject=str(callback_id),
                before={"state": row["state"], "attempts": row["attempts"]},
            )
        return ResentView(callback_id=str(callback_id), state="pending")

    return router
