"""One batch of one consumer: decide once, in one transaction, and say what must be published.

The common case is optimistic: handlers run, then the inbox rows are inserted. A conflict there means that some event
was handled before; the transaction rolls back and the careful path looks first and re-publishes what is recorded.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from shared import failpoints
from shared.clock import Clock
from shared.db import Database, Sql
from shared.kafka import Outgoing
from shared.logs import stack_of
from shared.runtime import inbox, metrics, parking
from shared.runtime.effects import save_effects
from shared.runtime.envelope import Arrived, DeadLetter
from shared.runtime.failures import ParkBudget, is_dependency_failure
from shared.runtime.work import Consumer, Effects, Handler, Handlers, Received, Retryable, UnitOfWork

R = TypeVar("R")
log = structlog.get_logger(module=__name__)

ATTEMPTS_ALONE = 3
STORM_PAUSE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a committed batch leaves to do: publish ``caused`` (then the offset may move) and ``from_outbox``."""

    caused: list[Outgoing]
    from_outbox: list[Outgoing]


class BatchProcessor(Generic[R]):
    """Runs batches of one consumer group against the database."""

    def __init__(
        self,
        consumer: Consumer[R],
        *,
        database: Database,
        repository: Callable[[Sql], R],
        clock: Clock,
        owner: int,
        park_limit: int,
        on_timer: Callable[[datetime], None],
    ) -> None:
        self._consumer = consumer
        self._database = database
        self._repository = repository
        self._clock = clock
        self._owner = owner
        self._budget = ParkBudget(park_limit)
        self._on_timer = on_timer
        self.handlers = consumer.handlers
        self.parked = parking.ParkedKeys(consumer.name)

    async def process(self, items: Sequence[Arrived], letters: Sequence[DeadLetter] = ()) -> Outcome:
        """Commit the batch's effects and return what to publish. Errors: only those of a dependency that is away."""
        if len(self.parked) and (behind := [item for item in items if item.received.key in self.parked]):
            waiting = await self._isolate(behind, ())
            rest = await self._process_together([item for item in items if item not in behind], letters)
            return Outcome(waiting.caused + rest.caused, waiting.from_outbox + rest.from_outbox)
        return await self._process_together(items, letters)

    async def _process_together(self, items: Sequence[Arrived], letters: Sequence[DeadLetter]) -> Outcome:
        try:
            return await self._attempt(items, letters, is_careful=False)
        except inbox.AlreadyHandled:
            pass
        except Exception as error:
            if is_dependency_failure(error):
                raise
            if inbox.is_missing_partition(error):
                await self._make_partitions(items)
            else:
                log.warning("batch_failed", consumer=self._consumer.name, events=len(items), error=type(error).__name__)
        try:
            return await self._attempt(items, letters, is_careful=True)
        except inbox.AlreadyHandled as error:
            raise Retryable(timedelta(milliseconds=20), reason="another process holds the same events") from error
        except Exception as error:
            if is_dependency_failure(error):
                raise
            return await self._isolate(items, letters)

    async def _attempt(self, items: Sequence[Arrived], letters: Sequence[DeadLetter], *, is_careful: bool) -> Outcome:
        now = self._clock.now()
        effects = Effects()
        name = self._consumer.name
        known: dict[str, list[Outgoing]] = {}
        unique = {item.received.id: item.received for item in items}
        async with self._database.transaction() as sql:
            if is_careful:
                known = await inbox.find_emitted(sql, name, list(unique))
            fresh = [received for event_id, received in unique.items() if event_id not in known]
            if fresh:
                await self._run_handlers(UnitOfWork(self._repository(sql), now, effects), fresh)
                await inbox.record(sql, name, [received.id for received in fresh], effects.emitted_by_cause)
            await inbox.save_dead_letters(sql, name, letters)
            await save_effects(sql, self._owner, now, effects)
            failpoints.reach("batch_before_commit")
        failpoints.reach("batch_after_commit")
        # Publish only after COMMIT: earlier, a rollback would leave an assignment in the world that we do not know of.
        metrics.EVENTS_PROCESSED.labels(name).inc(len(fresh))
        metrics.EVENTS_REDELIVERED.labels(name).inc(len(known))
        metrics.DEAD_LETTERS.labels(name).inc(len(letters))
        if effects.timers:
            self._on_timer(min(due_at for due_at, _ in effects.timers.values()))
        emitted = effects.emitted_by_cause | known
        return Outcome([out for event_id in unique for out in emitted.get(event_id, ())], effects.emitted)

    async def _run_handlers(self, work: UnitOfWork[R], batch: Sequence[Received[Any]]) -> None:
        for handler, group in in_key_order(batch, self._consumer.handlers):
            work.traceparent = group[0].traceparent
            await handler(work, group)

    async def _isolate(self, items: Sequence[Arrived], letters: Sequence[DeadLetter]) -> Outcome:
        """Handle lead by lead, so that only the lead that fails waits."""
        by_key: dict[str, list[Arrived]] = {}
        for item in items:
            by_key.setdefault(item.received.key, []).append(item)
        caused: list[Outgoing] = []
        from_outbox: list[Outgoing] = []
        for key, of_key in by_key.items():
            outcome = await self._handle_key(key, of_key)
            caused += outcome.caused
            from_outbox += outcome.from_outbox
        if letters:
            await self._attempt([], letters, is_careful=True)
        return Outcome(caused, from_outbox)

    async def _handle_key(self, key: str, items: Sequence[Arrived]) -> Outcome:
        if key in self.parked:
            now, effects = self._clock.now(), Effects()
            async with self._database.transaction() as sql:
                if await parking.list_parked_keys(sql, self._consumer.name, [key]):
                    waiting, behind = await self._park_behind(sql, items)
                    # A submission that comes while its lead waits is not in flight: the ledger must hear of it, too.
                    parking.announce_waiting(effects, self._consumer.name, waiting, now)
                    await save_effects(sql, self._owner, now, effects)
                    return Outcome(behind.caused, effects.emitted)
            self.parked.discard([key])
        caused: list[Outgoing] = []
        from_outbox: list[Outgoing] = []
        for position, item in enumerate(items):
            outcome = await self._handle_alone(item)
            if isinstance(outcome, Outcome):
                caused += outcome.caused
                from_outbox += outcome.from_outbox
            else:
                parked = await self._park(items[position:], outcome)
                caused += parked.caused
                from_outbox += parked.from_outbox
                break
        return Outcome(caused, from_outbox)

    async def _handle_alone(self, item: Arrived) -> Outcome | Exception:
        failure: Exception | None = None
        for attempt in range(1, ATTEMPTS_ALONE + 1):
            try:
                return await self._attempt([item], (), is_careful=True)
            except inbox.AlreadyHandled as error:
                raise Retryable(timedelta(milliseconds=20), reason="another process holds the same event") from error
            except Exception as error:
                if is_dependency_failure(error):
                    raise
                failure = error
                if attempt < ATTEMPTS_ALONE:
                    await asyncio.sleep(0.02 * 4**attempt)
        assert failure is not None
        return failure

    async def _park(self, items: Sequence[Arrived], failure: Exception) -> Outcome:
        name, first, now = self._consumer.name, items[0], self._clock.now()
        if self._budget.is_spent(now):
            raise Retryable(STORM_PAUSE, reason="too many leads parked in a minute") from failure
        error = f"{type(failure).__name__}: {failure}"
        effects = Effects()
        async with self._database.transaction() as sql:
            await parking.lock_key(sql, name, first.received.key)
            if await inbox.find_emitted(sql, name, [first.received.id]):
                raise Retryable(timedelta(milliseconds=20), reason="another process handled the event") from failure
            await parking.save_parked(sql, name, [first], error, now)
            waiting, behind = await self._park_behind(sql, items[1:])
            parking.announce_parked(effects, name, [first, *waiting], error, now)
            await save_effects(sql, self._owner, now, effects)
        self._budget.spend(now)
        self.parked.add(first.received.key)
        metrics.PARKED.labels(name).inc()
        log.error(
            "lead_parked",
            consumer=name,
            lead_id=first.received.key,
            event_id=first.received.id,
            event_type=first.received.event.type,
            error=type(failure).__name__,
            stack=stack_of(failure),
        )
        return Outcome(behind.caused, effects.emitted)

    async def _park_behind(self, sql: Sql, items: Sequence[Arrived]) -> tuple[list[Arrived], Outcome]:
        """Park what is new and return it, with what else is to publish.

        What was handled before never waits: its release would find its inbox row, for ever.
        """
        known = await inbox.find_emitted(sql, self._consumer.name, [item.received.id for item in items])
        waiting = [item for item in items if item.received.id not in known]
        if waiting:
            await parking.save_parked(sql, self._consumer.name, waiting, parking.WAITS, self._clock.now())
            metrics.PARKED.labels(self._consumer.name).inc(len(waiting))
        return waiting, Outcome([out for item in items for out in known.get(item.received.id, ())], [])

    async def _make_partitions(self, items: Sequence[Arrived]) -> None:
        async with self._database.transaction() as sql:
            await inbox.ensure_inbox_days(sql, items)


def in_key_order(batch: Sequence[Received[Any]], handlers: Handlers[R]) -> list[tuple[Handler[R], list[Received[Any]]]]:
    """Group a batch by handler into as few groups as keep every lead's events in order. Types that share a handler
    share its load and its write."""
    groups: list[tuple[Handler[R], list[Received[Any]]]] = []
    earliest_for_key: dict[str, int] = {}
    open_group: dict[Handler[R], int] = {}
    for received in batch:
        handler = handlers[type(received.event)]
        at = open_group.get(handler, -1)
        if at < earliest_for_key.get(received.key, 0):
            at = len(groups)
            groups.append((handler, []))
            open_group[handler] = at
        groups[at][1].append(received)
        earliest_for_key[received.key] = at
    return groups
