"""HTTP routes that plan a version of the scoring model, and show what was planned."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from scoring.jobs.api import JobSummary, JobView, accept_job, page_of_jobs
from scoring.jobs.kinds import JobState
from scoring.jobs.repository import JobRepository
from scoring.lead_at import get_model
from scoring.planning.request import KIND, PlanRequest, Version
from scoring.planning.views import PlanView
from scoring.repository import ScoringRepository
from shared.http import Cursor, IdempotentRoute, Limit, Page, Principal, Problem, require_scope
from shared.runtime import Runtime


def planning_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes of plans."""
    router = APIRouter(tags=["plans"], route_class=IdempotentRoute)

    @router.post("/v1/plans", status_code=202)
    async def start_plan(
        request: PlanRequest, response: Response, principal: Annotated[Principal, require_scope("config:plan")]
    ) -> JobView:
        """Replay the leads of a period under a version of the model, beside the live one. Nothing changes.

        The answer is a job; its result says what would. Look at it before
        `POST /v1/documents/scoring_model/versions/{version}/apply`, and name the plan in the reason given there.
        """
        await _check(runtime, request)
        return await accept_job(runtime, KIND, request, principal=principal, response=response)

    @router.get("/v1/plans", dependencies=[require_scope("config:plan")])
    async def list_plans(
        version: Annotated[Version | None, Query(description="Only plans of this version.")] = None,
        state: Annotated[JobState | None, Query(description="Only plans in this state.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[JobSummary]:
        """Return plans, newest first, without their results. `version=7&state=done&limit=1` finds what there is to
        look at before version 7 is applied."""
        about = {} if version is None else {"version": version}
        return await page_of_jobs(runtime, kind=KIND, state=state, about=about, limit=limit, cursor=cursor)

    @router.get("/v1/plans/{plan_id}", dependencies=[require_scope("config:plan")])
    async def get_plan(plan_id: Annotated[UUID, Path(description="The plan: the id of its job.")]) -> PlanView:
        """Return a plan with its result. If its `live_version` is not in force any more, plan again."""
        async with runtime.database.connection() as sql:
            row = await JobRepository(sql).find_job(str(plan_id))
        if row is None or row["kind"] != KIND:
            raise Problem(404, "no_such_plan", "No such plan", "It was never asked for, or was removed after its time.")
        return PlanView.of(row)

    return router


async def _check(runtime: Runtime[ScoringRepository], request: PlanRequest) -> None:
    """Refuse at once what the job would have to refuse later."""
    if request.until is not None and request.until > runtime.clock.now():
        raise Problem(
            422,
            "period_not_over",
            "The period ends in the future",
            errors=[{"pointer": "/until", "detail": "must not be in the future: nothing is known of it"}],
        )
    async with runtime.read() as repo:
        await get_model(repo, request.version, pointer="/version")
