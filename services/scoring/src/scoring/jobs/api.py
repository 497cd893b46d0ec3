"""HTTP routes that are the same for every kind of job, and the way in for the routes that start one."""

import json
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from scoring.jobs.kinds import JobState
from scoring.jobs.registry import STARTED_BY_SCOPE
from scoring.jobs.repository import JobRepository, TooManyJobs, start_job
from shared.db import Record, Sql
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    Problem,
    RequiredScope,
    Strict,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    require_scope,
)
from shared.ids import is_uuid
from shared.runtime import Runtime

JobId = Annotated[UUID, Path(description="The job.")]


class JobSummary(BaseModel):
    """Long work: who asked for what, and how far it is."""

    job_id: str
    kind: str
    state: JobState = Field(description="queued, running, then done, failed (`error` says why) or cancelled.")
    request: dict[str, Any] = Field(description="What was asked for.")
    asked_by: str
    asked_at: datetime
    started_at: datetime | None = Field(description="When it was started last: after a crash it is run again.")
    ended_at: datetime | None
    is_cancelled: bool = Field(description="Somebody cancelled it; it ends within a second or two.")
    done: int = Field(description="Units done of `total`; what a unit is depends on the kind, mostly leads.")
    total: int = Field(description="0 until it is known.")
    error: str | None = Field(description="Why there is no result, in a sentence.")

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the view of a stored row."""
        values: dict[str, Any] = {name: row[name] for name in cls.model_fields}
        for name in values.keys() & {"request", "result"}:
            values[name] = _parsed(values[name])
        return cls(**{**values, "job_id": str(row["job_id"])})


class JobView(JobSummary):
    """Long work with what came out."""

    result: dict[str, Any] | None = Field(description="What came out; null unless the state is done.")


class CancelScope(RequiredScope):
    """Lets in who could have started the job: cancelling it is the opposite of that."""

    async def scope_of(self, request: Request) -> str:
        """Return the scope that starts this kind of job."""
        job_id = request.path_params["job_id"]
        if not is_uuid(job_id):
            return self.scope
        async with request.app.state.runtime.database.connection() as sql:
            row = await JobRepository(sql).find_job(job_id)
        return self.scope if row is None else STARTED_BY_SCOPE.get(row["kind"], self.scope)


Canceller = Annotated[Principal, Depends(CancelScope("config:plan"))]


def jobs_router(runtime: Runtime[Any]) -> APIRouter:
    """Return the routes that list, show and cancel jobs of any kind."""
    router = APIRouter(tags=["jobs"], route_class=IdempotentRoute)

    @router.get("/v1/jobs", dependencies=[require_scope("config:plan")])
    async def list_jobs(
        kind: Annotated[str | None, Query(max_length=64, description="Only jobs of this kind.")] = None,
        state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[JobSummary]:
        """Return jobs, newest first, without their results."""
        return await page_of_jobs(runtime, kind=kind, state=state, limit=limit, cursor=cursor)

    @router.get("/v1/jobs/{job_id}", dependencies=[require_scope("config:plan")])
    async def get_job(job_id: JobId) -> JobView:
        """Return a job: how far it is, and when it is done, its result."""
        return JobView.of(await _get(runtime, job_id))

    @router.post("/v1/jobs/{job_id}/cancel")
    async def cancel_job(job_id: JobId, principal: Canceller) -> JobView:
        """Cancel a job: at once if it waits, within a second or two if it runs. It has no result then.

        A plan, backtest or training leaves nothing. A ranking leaves the probabilities that it stored so far; leads
        that it did not come to stay behind the others in the order by probability until they are decided anew. To
        cancel a ranking takes `config:apply`, as to start one.
        """
        await _get(runtime, job_id)
        async with runtime.work_with(JobRepository) as work:
            if not await work.repo.cancel_job(str(job_id), work.now):
                raise Problem(409, "job_has_ended", "The job has ended already")
            work.audit(actor=principal.client_id, action="job.cancelled", subject=f"job/{job_id}")
        return JobView.of(await _get(runtime, job_id))

    return router


async def accept_job(
    runtime: Runtime[Any], kind: str, request: Strict, *, principal: Principal, response: Response
) -> JobView:
    """Queue a job for the caller, and point the (202) answer to it. Errors: `Problem` 429.

    The request is kept in the audit: no kind of job may ask for anything by personal data.
    """
    async with runtime.work_with(JobRepository) as work:
        job_id = await queue_job(work.repo.sql, kind, request, actor=principal.client_id, now=work.now)
        work.audit(
            actor=principal.client_id,
            action=f"{kind}.started",
            subject=f"job/{job_id}",
            after={"kind": kind, "request": request.model_dump(mode="json")},
        )
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return JobView.of(await _get(runtime, job_id))


async def queue_job(sql: Sql, kind: str, request: Strict, *, actor: str, now: datetime) -> str:
    """Queue a job for somebody who calls; return its id. Errors: `Problem` 429."""
    try:
        return await start_job(sql, kind, request, actor=actor, now=now)
    except TooManyJobs:
        raise Problem(
            429, "too_many_jobs", "Too many jobs wait already", "Wait for some, or cancel them.",
            headers={"Retry-After": "60"},
        ) from None  # fmt: skip


async def page_of_jobs(
    runtime: Runtime[Any],
    *,
    kind: str | None,
    state: JobState | None,
    limit: int,
    cursor: str | None,
    about: dict[str, str] | None = None,
) -> Page[JobSummary]:
    """Return a page of jobs, newest first. *about*: what their request says. Errors: `Problem` 422 for the cursor."""
    before = None
    if cursor is not None:
        [before] = decode_cursor(cursor, size=1)
        if not is_uuid(before):
            raise invalid_cursor()
    async with runtime.database.connection() as sql:
        rows = await JobRepository(sql).list_jobs(kind=kind, state=state, about=about, before=before, limit=limit + 1)
    items = [JobSummary.of(row) for row in rows[:limit]]
    return Page(items=items, next_cursor=encode_cursor(items[-1].job_id) if len(rows) > limit else None)


async def _get(runtime: Runtime[Any], job_id: UUID | str) -> Record:
    async with runtime.database.connection() as sql:
        row = await JobRepository(sql).find_job(str(job_id))
    if row is None:
        raise Problem(404, "no_such_job", "No such job", "It was never asked for, or was removed after its time.")
    return row


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
