"""The backtest as a job: reads what was known, scores it, and measures. Runs in the job's own process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from scoring.accounts import AccountRepository
from scoring.backtest.report import Population, check_outcomes, report
from scoring.backtest.request import BACKTEST, BacktestRequest
from scoring.backtest.sample import KnownLead, judge, known_at_latest
from scoring.domain.account import account_of, colleagues_activities
from scoring.domain.activity import Activity
from scoring.domain.model import Grade, ScoringModel
from scoring.domain.score import score_lead
from scoring.history import LeadHistory, count_leads, read_first_submission, read_histories
from scoring.jobs.kinds import JobContext, JobKind, JobRefused
from scoring.outcomes.outcome import Outcome
from scoring.outcomes.repository import OutcomeRepository
from shared.contracts import ActivityKind
from shared.db import Sql
from shared.documents import DocumentInvalid, DocumentNotFound

MOST_LEADS: Final = 200_000  # about 400 MB; an interval of so many is narrower than anybody reads


@dataclass(frozen=True)
class _Task:
    """What is asked. ``models``: by version, the one asked for first."""

    request: BacktestRequest
    models: dict[str, ScoringModel]
    now: datetime

    @cached_property
    def middle(self) -> datetime:
        """When the second half of the period begins."""
        return self.request.since + (self.request.until - self.request.since) / 2

    @cached_property
    def kinds(self) -> frozenset[ActivityKind]:
        """What colleagues do that counts in a model."""
        return frozenset(kind for model in self.models.values() for kind in model.account_signals_of)


async def run_backtest(context: JobContext, request: BacktestRequest) -> dict[str, Any]:
    """Return what a version would have foreseen. Errors: `JobRefused` where a number would mean nothing."""
    models = await _models(context, request)
    population = await _read(context, request, models)
    check_outcomes(population, request)
    return report(population, request)


async def _models(context: JobContext, request: BacktestRequest) -> dict[str, ScoringModel]:
    """Return the version asked for, and the live one to compare it with; the version first."""
    live = context.models.live
    try:
        models = {request.version: await context.models.get(request.version)}
    except DocumentNotFound:
        message = f"There is no version {request.version} of the scoring model."
        raise JobRefused(message) from None
    except DocumentInvalid:
        message = f"This release cannot read version {request.version} of the scoring model."
        raise JobRefused(message) from None
    if request.compare_with_live and live.version != request.version:
        models[live.version] = live.value
    return models


async def _read(context: JobContext, request: BacktestRequest, models: dict[str, ScoringModel]) -> Population:
    task = _Task(request, models, context.now)
    async with context.database.connection() as sql:
        decided = await count_leads(sql, request.since, request.until)
        if decided == 0:
            message = f"No lead was decided from {request.since:%Y-%m-%d %H:%M} to {request.until:%Y-%m-%d %H:%M} UTC."
            raise JobRefused(message)
        population = Population(tuple(models), decided)
        outcomes, done, total = OutcomeRepository(sql), 0, min(decided, MOST_LEADS)
        async for chunk in read_histories(sql, since=request.since, until=request.until, most=MOST_LEADS):
            reported = await outcomes.list_of_leads([history.lead_id for history in chunk], context.now)
            for history in chunk:
                await _add(sql, population, history, reported.get(history.lead_id, ()), task)
            done += len(chunk)
            await context.report(done, max(total, done))
    return population


async def _add(
    sql: Sql, population: Population, history: LeadHistory, outcomes: Sequence[Outcome], task: _Task
) -> None:
    request, models = task.request, task.models
    first: LeadHistory | None = history
    if history.is_cut:  # what is left out of it may be what it was judged by
        first = await read_first_submission(sql, history.lead_id, request.since, request.until)
    judgement = None if first is None else judge(first, outcomes, request, task.now)
    if judgement is None:
        population.without_submission += 1
        return
    scores = await _scores(sql, history.lead_id, judgement.known, task, [*models.values()])
    population.add(judgement, scores)
    latest = known_at_latest(history, request)
    if latest is not None and latest.at != judgement.known.at:
        [score] = await _scores(sql, history.lead_id, latest, task, [models[request.version]])
        population.add_latest(latest, score, task.middle)
    else:
        population.add_latest(judgement.known, scores[0], task.middle)


async def _scores(
    sql: Sql, lead_id: str, known: KnownLead, task: _Task, models: Sequence[ScoringModel]
) -> list[tuple[int, Grade]]:
    """Return the (hundredths, grade) by each of *models* of a lead as it was known."""
    profile, activities = (
        known.profile,
        (*known.activities, *await _list_colleagues_activities(sql, lead_id, known, task)),
    )
    results = (score_lead(model, profile.lead, profile.facts, activities, known.at) for model in models)
    return [(result.points, result.grade) for result in results]


async def _list_colleagues_activities(sql: Sql, lead_id: str, known: KnownLead, task: _Task) -> list[Activity]:
    """Return what others of the lead's account were known to have done at the lead's instant, if a model counts that.

    A statement per lead, because each has another instant: a minute for a hundred thousand leads.
    """
    account = account_of(known.profile.facts) if task.kinds else None
    if account is None:
        return []
    deeds = await AccountRepository(sql).list_deeds([account], task.kinds, known.at)
    return colleagues_activities(deeds.get(account, ()), lead_id)


BACKTEST_KIND: Final = JobKind(BACKTEST, BacktestRequest, run_backtest)
