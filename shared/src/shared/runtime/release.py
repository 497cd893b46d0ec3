"""Taking leads out of the parking table: retry in order, or skip with a reason."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.contracts import EVENT_BY_TYPE, LeadReleased
from shared.db import Record, Sql
from shared.ids import instant_of
from shared.runtime import inbox, parking
from shared.runtime.effects import save_effects
from shared.runtime.partitions import day_of, ensure_days
from shared.runtime.service import Runtime
from shared.runtime.work import Effects, Received, UnitOfWork

_DELETE = "DELETE FROM parked WHERE consumer = $1 AND event_id = ANY($2::uuid[])"


class NotParked(LookupError):
    """No event of this lead is parked with this consumer."""


async def retry_key(runtime: Runtime[Any], consumer: str, key: str, actor: str) -> int:
    """Handle the lead's parked events again, in order, all or none; return how many.

    Errors: `NotParked`; whatever the handler still raises, and then everything stays parked.
    """
    async with runtime.database.transaction() as sql:
        rows = await _load(sql, consumer, key)
        await _ensure_days(sql, rows)
        # Another process may have handled an event while it failed here: then only its row is left to remove.
        known = await inbox.find_emitted(sql, consumer, [row["id"] for row in rows])
        waiting = [_decode(row) for row in rows]
        received = [item for item in waiting if item.id not in known]
        now, effects = runtime.clock.now(), Effects()
        work: UnitOfWork[Any] = UnitOfWork(runtime.service.repository(sql), now, effects)
        handlers = runtime.processors[consumer].handlers
        for item in received:
            await handlers[type(item.event)](work, [item])
        await inbox.record(sql, consumer, [item.id for item in received], effects.emitted_by_cause)
        # There is no offset behind these any more: what they caused goes through the outbox.
        effects.emitted += [out for item in received for out in effects.emitted_by_cause.get(item.id, ())]
        records = parking.records_of(item.event for item in waiting)
        work.emit(LeadReleased(lead_id=key, consumer=consumer, outcome="retried", record_ids=records))
        work.audit(
            actor=actor, action="parking.retried", subject=key, before={"consumer": consumer, "events": len(rows)}
        )
        await sql.execute(_DELETE, consumer, [row["id"] for row in rows])
        await save_effects(sql, runtime.owner, now, effects)
    _hand_over(runtime, effects)
    return len(rows)


async def skip_first(runtime: Runtime[Any], consumer: str, key: str, actor: str, why: str) -> int:
    """Give the lead's first parked event up (its row says why it failed); return how many still wait behind it."""
    async with runtime.database.transaction() as sql:
        rows = await _load(sql, consumer, key)
        now, effects = runtime.clock.now(), Effects()
        work: UnitOfWork[Any] = UnitOfWork(None, now, effects)
        await _ensure_days(sql, rows)
        if not await inbox.find_emitted(sql, consumer, [rows[0]["id"]]):
            await inbox.record(sql, consumer, [rows[0]["id"]], {})
        is_last = len(rows) == 1
        if is_last:
            work.emit(LeadReleased(lead_id=key, consumer=consumer, outcome="skipped", record_ids=()))
        work.audit(
            actor=actor,
            action="parking.skipped",
            subject=key,
            before={"consumer": consumer, "event_id": rows[0]["id"], "type": rows[0]["type"]},
            why=why,
        )
        await sql.execute(_DELETE, consumer, [rows[0]["id"]])
        await save_effects(sql, runtime.owner, now, effects)
    _hand_over(runtime, effects)
    return len(rows) - 1


async def _load(sql: Sql, consumer: str, key: str) -> list[Record]:
    rows = await parking.list_events_of(sql, consumer, key)
    if not rows:
        raise NotParked(key)
    return rows


def _hand_over(runtime: Runtime[Any], effects: Effects) -> None:
    """Publish and wake. Leave the consumer's filter of parked keys alone: it may have parked the lead anew by now."""
    runtime.outbox.add(effects.emitted)
    if effects.timers:
        runtime.timers.wake(min(due_at for due_at, _ in effects.timers.values()))


async def _ensure_days(sql: Sql, rows: Sequence[Record]) -> None:
    """An event may have waited longer than the inbox is kept."""
    await ensure_days(sql, inbox.TABLE, {day_of(instant_of(row["id"])) for row in rows})


def _decode(row: Record) -> Received[Any]:
    event = msgspec.json.decode(row["payload"], type=EVENT_BY_TYPE[row["type"]])
    return Received(event, row["id"], row["key"], row["time"], row["traceparent"])
