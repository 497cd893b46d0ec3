"""Runs one job, in the process that exists for it, and writes down how it ended."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from pydantic import ValidationError

from scoring.domain.model import ScoringModel
from scoring.jobs.kinds import JobCancelled, JobContext, JobKind, JobRefused
from scoring.jobs.registry import UnknownKind, get_kind
from scoring.jobs.repository import Claim, JobRepository
from shared.clock import Clock
from shared.db import Database
from shared.documents import DocumentStore
from shared.logs import stack_of
from shared.runtime.failures import is_dependency_failure

REPORT_EVERY_SECONDS: Final = 0.5

log = structlog.get_logger(module=__name__)


async def execute_job(
    database: Database,
    models: DocumentStore[ScoringModel],
    claim: Claim,
    clock: Clock,
    find_kind: Callable[[str], JobKind[Any]] = get_kind,
) -> None:
    """Run the job if it is still *claim*'s, and store its result, or why there is none.

    Errors: those of a database that is away. Nothing is stored then, and the job is run again.
    """
    async with database.connection() as sql:
        row = await JobRepository(sql).find_claimed(claim)
    if row is None:
        return
    context = JobContext(
        database=database,
        models=models,
        now=row["asked_at"],
        job_id=claim.job_id,
        tell=_teller(database, claim),
        clock=clock,
    )
    try:
        kind = find_kind(row["kind"])
        result = await kind.run(context, kind.request.model_validate_json(row["request"]))
    except JobCancelled:
        return
    except JobRefused as refusal:
        await _save_failure(database, claim, str(refusal), clock)
    except (UnknownKind, ValidationError):
        await _save_failure(database, claim, "This release does not know what was asked for: ask again.", clock)
    except Exception as error:
        if is_dependency_failure(error):
            raise
        # Not the message: it may quote personal data.
        log.error("job_failed", job_id=claim.job_id, error=type(error).__name__, stack=stack_of(error))  # noqa: TRY400
        await _save_failure(database, claim, f"It failed unexpectedly ({type(error).__name__}): see the log.", clock)
    else:
        async with database.connection() as sql:
            await JobRepository(sql).save_result(claim, result, clock.now())


async def _save_failure(database: Database, claim: Claim, sentence: str, clock: Clock) -> None:
    async with database.connection() as sql:
        await JobRepository(sql).save_failure(claim, sentence, clock.now())


def _teller(database: Database, claim: Claim) -> Callable[[int, int], Awaitable[None]]:
    """Return what stores the progress, at most twice a second."""
    told_at = float("-inf")

    async def tell(done: int, total: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < REPORT_EVERY_SECONDS:
            return
        told_at = time.monotonic()
        async with database.connection() as sql:
            if not await JobRepository(sql).save_progress(claim, done, total):
                raise JobCancelled

    return tell
