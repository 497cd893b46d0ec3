"""The transaction behind the door: read what is known, decide, write, emit. All or nothing, many requests at a time."""

import time
from collections.abc import Sequence
from datetime import datetime

import asyncpg

from ingest import metrics
from ingest.domain.arrival import Arrival, Numbered, Outcome, Plan
from ingest.domain.normalisation import fold_email, fold_phone
from ingest.domain.plan import plan_batch
from ingest.domain.records import ActivityRecord, ConsentRecord, LeadRecord, Record
from ingest.repository import IngestRepository
from shared import failpoints
from shared.ids import instant_of, new_id
from shared.runtime import Retryable, Runtime
from shared.runtime.inbox import is_missing_partition
from shared.runtime.metrics import SPEED_TO_LEAD
from shared.runtime.partitions import day_of, ensure_days

MOST_ATTEMPTS = 12  # each lost race means that another batch won: progress, but not for ever


class _Raced(Exception):
    """Somebody else took one of our keys between our read and our write."""


class Capture:
    """Commits arrivals."""

    def __init__(self, runtime: Runtime[IngestRepository], default_country: str | None) -> None:
        self._runtime = runtime
        self._default_country = default_country

    def number(self, ordinal: int, record: Record, record_id: str | None = None) -> Numbered:
        """Return *record* with ids and the folded keys of its person."""
        email = phone = external = None
        if isinstance(record, LeadRecord | ActivityRecord | ConsentRecord):
            lead = record.lead
            external = record.external_id
            if lead.email is not None:
                email = fold_email(lead.email)
            if lead.phone is not None:
                phone = fold_phone(lead.phone, lead.country or self._default_country)
        return Numbered(
            record_id=record_id or new_id(),
            fresh_lead_id=new_id(),
            ordinal=ordinal,
            record=record,
            email=email,
            phone=phone,
            external=external,
        )

    async def keep(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Return one outcome per arrival, durable. Errors: those of a database that is away; nothing is kept then."""
        started = time.perf_counter()
        plan = await self._commit_decided(arrivals)
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)
        metrics.COMMIT_SIZE.observe(len(arrivals))
        self._observe(plan, arrivals)
        return plan.outcomes

    async def _commit_decided(self, arrivals: Sequence[Arrival]) -> Plan:
        for _ in range(MOST_ATTEMPTS):
            try:
                return await self._attempt(arrivals)
            except (_Raced, asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                metrics.COMMIT_RACES.inc()
            except asyncpg.CheckViolationError as error:
                if not is_missing_partition(error):
                    raise
                await self._make_partitions(arrivals)
        raise Retryable(reason="too many processes want the same keys")

    async def _attempt(self, arrivals: Sequence[Arrival]) -> Plan:
        async with self._runtime.work() as work:
            plan = plan_batch(arrivals, await work.repo.intake.load_known(arrivals))
            if not await work.repo.intake.save_plan(plan):
                raise _Raced
            for event, traceparent in plan.events:
                work.traceparent = traceparent
                work.emit(event)
            failpoints.reach("door_before_commit")
        failpoints.reach("door_after_commit")
        return plan

    async def _make_partitions(self, arrivals: Sequence[Arrival]) -> None:
        """Make the partition of a day that the hourly upkeep has not come to."""
        async with self._runtime.work() as work:
            days = {day_of(instant_of(arrival.submission_id)) for arrival in arrivals}
            await ensure_days(work.repo.sql, "submission", days)

    def _observe(self, plan: Plan, arrivals: Sequence[Arrival]) -> None:
        now = self._runtime.clock.now()
        for (kind, nature), count in plan.counts.items():
            metrics.RECORDS.labels(kind, nature).inc(count)
            if nature == "quarantined":
                metrics.QUARANTINED.labels(kind).inc(count)
        captured = SPEED_TO_LEAD.labels("captured")
        for received_at in _receipts(arrivals):
            captured.observe(max(0.0, (now - received_at).total_seconds()))


def _receipts(arrivals: Sequence[Arrival]) -> list[datetime]:
    return [
        arrival.received_at
        for arrival in arrivals
        if not arrival.replaced and any(isinstance(numbered.record, LeadRecord) for numbered in arrival.records)
    ]
