"""The job that learns a predictive model from what became of leads, and stores it. It never puts one in force."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np

from scoring.history import DecidedScore, LeadHistory, count_leads, read_histories
from scoring.jobs.kinds import JobContext, JobKind, JobRefused
from scoring.outcomes.outcome import Goal, Outcome, label_at
from scoring.outcomes.repository import OutcomeRepository
from scoring.prediction.examples import Columns, ExampleCollector, Examples
from scoring.prediction.features import BEHAVIOURS, LEVEL_INPUTS
from scoring.prediction.fitting import Coefficients
from scoring.prediction.learning import Learned, learn
from scoring.prediction.repository import NewModel, PredictionRepository, decode_model
from scoring.prediction.request import (
    DEFAULT_HALF_LIFE_DAYS,
    DEFAULT_HORIZON_DAYS,
    DEFAULT_OUTCOME,
    DEFAULT_PERIOD,
    TRAINING,
    TrainingRequest,
)
from shared.contracts import ActivityKind
from shared.db import Record

MOST_LEADS: Final = 500_000  # a sample beyond; at 200 bytes each and 150 columns this learns within 1 GB


_OF_ANOTHER_RELEASE: Final = (
    "The live model looks at inputs that this release does not have, so it cannot be refreshed: train a new one."
)


@dataclass(frozen=True, slots=True)
class Task:
    """What to learn: leads decided from ``since`` to before ``last``, by what was known of their outcomes at
    ``until``. ``before``: the stored model that is refreshed."""

    outcome: Goal
    horizon_days: int
    half_life_days: float
    since: datetime
    until: datetime
    before: Record | None

    @property
    def horizon(self) -> timedelta:
        """How long after its decision a lead may take."""
        return timedelta(days=self.horizon_days)

    @property
    def last(self) -> datetime:
        """Leads decided from this instant on are too young: their horizon is not over at ``until``."""
        return self.until - self.horizon


class Remembered(msgspec.Struct, frozen=True):
    """`Coefficients` as they are stored: numbers as raw little-endian doubles."""

    levels: dict[str, tuple[str, ...]]
    amounts: tuple[ActivityKind, ...]
    mean: bytes
    precision: bytes


def pack_coefficients(coefficients: Coefficients) -> bytes:
    """Return the bytes that `unpack_coefficients` takes."""
    columns = coefficients.columns
    return msgspec.msgpack.encode(
        Remembered(
            columns.levels,
            columns.amounts,
            coefficients.mean.astype("<f8").tobytes(),
            coefficients.precision.astype("<f8").tobytes(),
        )
    )


def unpack_coefficients(packed: bytes) -> Coefficients:
    """Return the coefficients that were packed. Errors: `JobRefused`: their inputs are not those of this release."""
    try:
        stored = msgspec.msgpack.decode(packed, type=Remembered)
    except msgspec.ValidationError:
        raise JobRefused(_OF_ANOTHER_RELEASE) from None
    if not (set(stored.levels) <= set(LEVEL_INPUTS) and set(stored.amounts) <= set(BEHAVIOURS)):
        raise JobRefused(_OF_ANOTHER_RELEASE)
    mean = np.frombuffer(stored.mean, "<f8")
    precision = np.frombuffer(stored.precision, "<f8").reshape(len(mean), len(mean))
    return Coefficients(Columns(stored.levels, stored.amounts), mean, precision)


async def train(context: JobContext, request: TrainingRequest) -> dict[str, Any]:
    """Learn and store; return the new version with its report. Run again after a crash, it stores nothing twice."""
    async with context.database.connection() as sql:
        stored = await PredictionRepository(sql).find_model_of_job(context.job_id)
    if stored is None:
        task = await _task(context, request)
        examples, had_outcome = await collect_examples(context, task)
        learned = await asyncio.to_thread(
            learn,
            examples,
            horizon_days=task.horizon_days,
            half_life_days=task.half_life_days,
            had_outcome=had_outcome,
            before=None if task.before is None else unpack_coefficients(task.before["learned"]),
        )
        await _save(context, task, learned)
        async with context.database.connection() as sql:
            stored = await PredictionRepository(sql).find_model_of_job(context.job_id)
    assert stored is not None, "just stored"
    return {"version": stored["version"], "report": msgspec.json.decode(stored["report"])}


async def collect_examples(context: JobContext, task: Task) -> tuple[Examples, int]:
    """Return the leads to learn from, and how many were left out because they had the outcome already.

    A lead is taken once: as it was known at the first decision of the period. Any later one would be chosen with the
    knowledge that the lead came back, or did not. Errors: `JobRefused` without any lead.
    """
    collector, had_outcome, done = ExampleCollector(task.half_life_days), 0, 0
    async with context.database.connection() as sql:
        total = min(await count_leads(sql, task.since, task.last), MOST_LEADS)
        outcomes = OutcomeRepository(sql)
        async for chunk in read_histories(sql, since=task.since, until=task.last, most=MOST_LEADS):
            reported = await outcomes.list_of_leads([history.lead_id for history in chunk], task.until)
            for history in chunk:
                had_outcome += not _add(collector, task, history, reported.get(history.lead_id, []))
            done += len(chunk)
            await context.report(done, total)
    examples = collector.collect()
    if not len(examples):
        raise JobRefused(
            f"No lead without the outcome was decided from {task.since:%Y-%m-%d %H:%M} to before"
            f" {task.last:%Y-%m-%d %H:%M} UTC: there is nothing to learn from. (Leads decided later have not had their"
            f" {task.horizon_days} days yet.)"
        )
    return examples, had_outcome


def _add(collector: ExampleCollector, task: Task, history: LeadHistory, outcomes: list[Outcome]) -> bool:
    """Add the lead; False if it had the outcome already."""
    decision = first_decision(history, task.since)
    if decision is None:
        return True
    is_good = label_at(outcomes, task.outcome, decision.scored_at, task.horizon)
    if is_good is None:
        return False
    profile = next(profile for since, profile in reversed(history.profiles) if since <= decision.scored_at)
    collector.add(profile, history.activities, decision.scored_at, is_good=is_good, points=decision.points)
    return True


def first_decision(history: LeadHistory, since: datetime) -> DecidedScore | None:
    """Return the first decision from *since* on that the lead itself caused; None if only time or colleagues did."""
    own = ("submission", "activity")
    return next((each for each in history.decisions if each.scored_at >= since and each.trigger in own), None)


async def _task(context: JobContext, request: TrainingRequest) -> Task:
    until = context.now if request.until is None else min(request.until, context.now)
    if not request.refresh:
        horizon_days = request.horizon_days or DEFAULT_HORIZON_DAYS
        since = request.since or until - timedelta(days=horizon_days) - DEFAULT_PERIOD
        return _checked(
            Task(
                outcome=request.outcome or DEFAULT_OUTCOME,
                horizon_days=horizon_days,
                half_life_days=request.half_life_days or DEFAULT_HALF_LIFE_DAYS,
                since=since,
                until=until,
                before=None,
            )
        )
    async with context.database.connection() as sql:
        live = await PredictionRepository(sql).find_live_model()
    if live is None:
        raise JobRefused("No predictive model is live, so there is nothing to refresh: train one and apply it.")
    model = decode_model(live)
    return _checked(Task(live["outcome"], model.horizon_days, model.half_life_days, live["learned_until"], until, live))


def _checked(task: Task) -> Task:
    if task.since >= task.last:
        raise JobRefused(
            f"No lead decided since {task.since:%Y-%m-%d %H:%M} UTC has had its {task.horizon_days} days by"
            f" {task.until:%Y-%m-%d %H:%M} UTC: nobody knows yet what becomes of them."
        )
    return task


async def _save(context: JobContext, task: Task, learned: Learned) -> None:
    async with context.database.transaction() as sql:
        await PredictionRepository(sql).add_model(
            NewModel(
                job_id=context.job_id,
                refreshed_from=None if task.before is None else task.before["version"],
                outcome=task.outcome,
                since=task.since,
                learned_until=learned.learned_until,
                until=task.until,
                model=learned.model,
                report_json=learned.report.model_dump_json(),
                learned=pack_coefficients(learned.coefficients),
            ),
            context.clock.now(),
        )


KIND: Final = JobKind(name=TRAINING, request=TrainingRequest, run=train)
