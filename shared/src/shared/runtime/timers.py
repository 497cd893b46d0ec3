"""Timers: rows with an instant. Claim, effect and removal are one transaction, so the effect happens once."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
import structlog

from shared import failpoints
from shared.clock import Clock
from shared.db import Database, Record, Sql
from shared.kafka import Outgoing
from shared.logs import stack_of, storable
from shared.runtime import metrics
from shared.runtime.effects import save_effects
from shared.runtime.failures import is_dependency_failure
from shared.runtime.work import DueTimer, Effects, TimerHandlers, UnitOfWork
from shared.waiting import until_set

R = TypeVar("R")
log = structlog.get_logger(module=__name__)

CLAIM_MOST = 200
LONGEST_SLEEP_SECONDS = 1.0  # rows of other processes are seen this late at the latest; our own wake us at once
MOST_DOUBLINGS = 10  # a failing timer is tried again at least every 17 minutes: the bug may be fixed by then

# The claim deletes; a rollback (crash, failing handler) brings the timer back. SKIP LOCKED: replicas share the work.
_CLAIM = """
    DELETE FROM timer WHERE (kind, key) IN (
        SELECT kind, key FROM timer WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ) RETURNING kind, key, due_at, payload, attempts
"""
_DUE = "SELECT kind, key FROM timer WHERE due_at <= $1 ORDER BY due_at LIMIT $2"
_CLAIM_ONE = """
    DELETE FROM timer WHERE (kind, key) IN (
        SELECT kind, key FROM timer WHERE kind = $2 AND key = $3 AND due_at <= $1 FOR UPDATE SKIP LOCKED
    ) RETURNING kind, key, due_at, payload, attempts
"""
_POSTPONE = """
    UPDATE timer SET attempts = attempts + 1, due_at = $3, error = $4 WHERE kind = $1 AND key = $2 RETURNING attempts
"""


class TimerLoop(Generic[R]):
    """Fires due timers; sleeps until the next one is due, or until `wake`."""

    def __init__(
        self,
        handlers: TimerHandlers[R],
        *,
        database: Database,
        repository: Callable[[Sql], R],
        clock: Clock,
        owner: int,
        on_outbox: Callable[[list[Outgoing]], None],
    ) -> None:
        self._handlers = handlers
        self._database = database
        self._repository = repository
        self._clock = clock
        self._owner = owner
        self._on_outbox = on_outbox
        self._wake = asyncio.Event()
        self._next_due: datetime | None = None
        self._stopping = False

    def wake(self, due_at: datetime | None = None) -> None:
        """Look again: a timer for ``due_at`` was committed. Later than the one waited for, it changes nothing."""
        if due_at is None or self._next_due is None or due_at < self._next_due:
            self._wake.set()

    async def run(self) -> None:
        """Fire timers until `drain`."""
        while not self._stopping:
            try:
                fired = await self.run_once()
                if fired == 0:
                    await self._sleep(await self._find_next_due())
            except Exception as error:
                if not is_dependency_failure(error):
                    raise
                log.warning("timers_wait", error=type(error).__name__)
                await self._sleep(None)

    async def drain(self) -> None:
        """Finish the batch in hand and let `run` return."""
        self._stopping = True
        self._wake.set()

    async def run_once(self) -> int:
        """Fire what is due now; return how many timers were claimed."""
        now = self._clock.now()
        try:
            return await self._fire(now, _CLAIM, CLAIM_MOST)
        except Exception as error:
            if is_dependency_failure(error):
                raise
            log.warning("timer_batch_failed", error=type(error).__name__)
        return await self._fire_one_by_one(now)

    async def _fire(self, now: datetime, claim: str, *args: object) -> int:
        effects = Effects()
        async with self._database.transaction() as sql:
            rows = await sql.fetch(claim, now, *args)
            if not rows:
                return 0
            failpoints.reach("timer_claimed")
            await self._run_handlers(UnitOfWork(self._repository(sql), now, effects), rows)
            await save_effects(sql, self._owner, now, effects)
        failpoints.reach("timer_committed")
        self._on_outbox(effects.emitted)
        for row in rows:
            metrics.TIMER_LATENESS.labels(row["kind"]).observe(max(0.0, (now - row["due_at"]).total_seconds()))
        return len(rows)

    async def _fire_one_by_one(self, now: datetime) -> int:
        async with self._database.connection() as sql:
            due = await sql.fetch(_DUE, now, CLAIM_MOST)
        for row in due:
            try:
                await self._fire(now, _CLAIM_ONE, row["kind"], row["key"])
            except Exception as error:
                if is_dependency_failure(error):
                    raise
                await self._postpone(row["kind"], row["key"], now, error)
        return len(due)

    async def _postpone(self, kind: str, key: str, now: datetime, error: Exception) -> None:
        metrics.TIMERS_FAILED.labels(kind).inc()
        async with self._database.transaction() as sql:
            attempts = await sql.fetchval("SELECT attempts FROM timer WHERE kind = $1 AND key = $2", kind, key)
            delay = timedelta(seconds=2 ** min(attempts or 0, MOST_DOUBLINGS))
            await sql.execute(_POSTPONE, kind, key, now + delay, storable(f"{type(error).__name__}: {error}")[:500])
        log.error(
            "timer_failed", kind=kind, attempts=(attempts or 0) + 1, error=type(error).__name__, stack=stack_of(error)
        )

    async def _run_handlers(self, work: UnitOfWork[R], rows: list[Record]) -> None:
        by_kind: dict[str, list[DueTimer]] = {}
        for row in sorted(rows, key=lambda row: row["due_at"]):
            timer = DueTimer(row["kind"], row["key"], row["due_at"], msgspec.json.decode(row["payload"]))
            by_kind.setdefault(row["kind"], []).append(timer)
        for kind, due in by_kind.items():
            await self._handlers[kind](work, due)

    async def _find_next_due(self) -> datetime | None:
        async with self._database.connection() as sql:
            due: datetime | None = await sql.fetchval("SELECT due_at FROM timer ORDER BY due_at LIMIT 1")
        return due

    async def _sleep(self, until: datetime | None) -> None:
        self._next_due = until
        seconds = LONGEST_SLEEP_SECONDS
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self._clock.now()).total_seconds()))
        await until_set(self._wake, seconds)
        self._wake.clear()
        self._next_due = None  # until the next sleep every new timer wakes: it may be earlier than what is found now
