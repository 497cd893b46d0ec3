"""The backtest as a job: reads what was known, scores it, and measures. Runs in the job's own process."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from scoring.accounts import AccountRepository
from scoring.backtest.report import Population, check_outcomes, report
from scoring.backtest.request import BACKTEST, BacktestRequest
from scoring.backtest.sample import Judgement, judge
from scoring.domain.account import account_of, colleagues_activities
from scoring.domain.activity import Activity
from scoring.domain.model import Grade, ScoringModel
from scoring.domain.score import score_lead
from scoring.history import count_leads, read_histories
from scoring.jobs.kinds import JobContext, JobKind, JobRefused
from scoring.outcomes.repository import OutcomeRepository
from shared.contracts import ActivityKind
from shared.db import Sql
from shared.documents import DocumentNotFound

MOST_LEADS: Final = 200_000  # about 400 MB; an interval of so many is narrower than anybody reads


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
    if request.compare_with_live and live.version != request.version:
        models[live.version] = live.value
    return models


async def _read(context: JobContext, request: BacktestRequest, models: dict[str, ScoringModel]) -> Population:
    middle = request.since + (request.until - request.since) / 2
    kinds = {kind for model in models.values() for kind in model.account_signals_of}
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
                judgement = judge(history, reported.get(history.lead_id, ()), request, context.now)
                colleagues = await _list_colleagues_activities(sql, history.lead_id, judgement, kinds)
                population.add(judgement, _scores(judgement, colleagues, models), middle)
            done += len(chunk)
            await context.report(done, max(total, done))
    return population


async def _list_colleagues_activities(
    sql: Sql, lead_id: str, judgement: Judgement | None, kinds: Collection[ActivityKind]
) -> list[Activity]:
    """Return what others of the lead's account were known to have done when it is judged, if a model counts that.

    A statement per lead, because each is judged as of another instant: a minute for a hundred thousand leads.
    """
    account = None if judgement is None or not kinds else account_of(judgement.profile.facts)
    if judgement is None or account is None:
        return []
    deeds = await AccountRepository(sql).list_deeds([account], kinds, judgement.at)
    return colleagues_activities(deeds.get(account, ()), lead_id)


def _scores(
    judgement: Judgement | None, colleagues: Sequence[Activity], models: dict[str, ScoringModel]
) -> list[tuple[int, Grade]]:
    if judgement is None:
        return []
    profile, activities = judgement.profile, (*judgement.activities, *colleagues)
    results = (score_lead(model, profile.lead, profile.facts, activities, judgement.at) for model in models.values())
    return [(result.points, result.grade) for result in results]


BACKTEST_KIND: Final = JobKind(BACKTEST, BacktestRequest, run_backtest)
