"""HTTP routes: hold a version of the model against what became of the leads."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from scoring.backtest.repository import BacktestRepository
from scoring.backtest.request import BACKTEST, VERSION, BacktestRequest
from scoring.backtest.views import BacktestSummary
from scoring.jobs.api import JobView, accept_job
from scoring.lead_at import get_model
from scoring.repository import ScoringRepository
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    require_scope,
)
from shared.ids import is_uuid
from shared.runtime import Runtime


def backtests_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["backtests"], route_class=IdempotentRoute)

    @router.post("/v1/backtests", status_code=202)
    async def start_backtest(
        request: BacktestRequest, response: Response, principal: Annotated[Principal, require_scope("config:plan")]
    ) -> JobView:
        """Start a backtest of any stored version; the result is the job's. Refused, with the numbers, where there are
        too few outcomes to say anything."""
        async with runtime.read() as repo:
            await get_model(repo, request.version, pointer="/version")
        return await accept_job(runtime, BACKTEST, request, principal=principal, response=response)

    @router.get("/v1/backtests", dependencies=[require_scope("config:plan")])
    async def list_backtests(
        version: Annotated[str | None, Query(pattern=VERSION, description="Only backtests of this version.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[BacktestSummary]:
        """Return finished backtests with their headline numbers, newest first."""
        before = None if cursor is None else decode_cursor(cursor, size=1)[0]
        if before is not None and not is_uuid(before):
            raise invalid_cursor()
        async with runtime.database.connection() as sql:
            found = await BacktestRepository(sql).list_finished(version=version, before=before, limit=limit + 1)
        items = [BacktestSummary.of(backtest) for backtest in found[:limit]]
        return Page(items=items, next_cursor=encode_cursor(items[-1].job_id) if len(found) > limit else None)

    return router
