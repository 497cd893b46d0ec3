"""HTTP route: what became of one lead."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from scoring.outcomes.outcome import weigh
from scoring.outcomes.views import OutcomeView
from scoring.repository import ScoringRepository
from shared.http import Cursor, Limit, Page, Problem, decode_cursor, encode_cursor, invalid_cursor, require_scope
from shared.runtime import Runtime


def outcomes_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["outcomes"])

    @router.get("/v1/leads/{lead_id}/outcomes", dependencies=[require_scope("leads:read")])
    async def list_lead_outcomes(
        lead_id: Annotated[UUID, Path(description="The lead.")], limit: Limit = 50, cursor: Cursor = None
    ) -> Page[OutcomeView]:
        """Return what the CRM reported of a lead, the last to happen first, and which of it counts.

        A lead may have outcomes before it is known. Of one lead the newest 1,000 reports are weighed.
        """
        key = str(lead_id)
        async with runtime.read() as repo:
            outcomes = await repo.outcomes.list_of_lead(key)
            is_known = bool(outcomes) or bool(await repo.list_decisions(key, before=None, limit=1))
        if not is_known:
            raise Problem(404, "lead_not_found", "Nothing is known of this lead")
        views = [OutcomeView.of(weighed) for weighed in reversed(weigh(outcomes))]
        start = 0 if cursor is None else _after(views, decode_cursor(cursor, size=1)[0])
        page = views[start : start + limit]
        return Page(items=page, next_cursor=encode_cursor(page[-1].activity_id) if len(views) > start + limit else None)

    return router


def _after(views: list[OutcomeView], activity_id: str) -> int:
    """Return the place behind the report that a page ended with. Reports are never removed, so it is still there."""
    place = next((number for number, view in enumerate(views) if view.activity_id == activity_id), None)
    if place is None:
        raise invalid_cursor()
    return place + 1
