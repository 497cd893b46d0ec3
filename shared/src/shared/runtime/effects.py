"""Saves a unit of work's effects with set-based statements, inside its transaction."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from shared.db import Sql
from shared.ids import new_id
from shared.kafka import Outgoing
from shared.runtime.work import AuditRow, Effects

_SET_TIMERS = """
    INSERT INTO timer (kind, key, due_at, payload)
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bytea[])
    ON CONFLICT (kind, key) DO UPDATE SET due_at = EXCLUDED.due_at, payload = EXCLUDED.payload, attempts = 0
"""
_CANCEL_TIMERS = """
    DELETE FROM timer USING unnest($1::text[], $2::text[]) AS gone(kind, key)
    WHERE timer.kind = gone.kind AND timer.key = gone.key
"""
_INSERT_OUTBOX = """
    INSERT INTO outbox (id, owner, key, event)
    SELECT id, $2, key, event FROM unnest($1::uuid[], $3::text[], $4::bytea[]) AS rows(id, key, event)
"""
_INSERT_AUDIT = """
    INSERT INTO audit (audit_id, at, actor, action, subject, before, after, why)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[],
                         $6::jsonb[], $7::jsonb[], $8::text[])
"""


async def save_timers(sql: Sql, effects: Effects) -> None:
    """Set and cancel timers."""
    if effects.cancelled_timers:
        gone = sorted(effects.cancelled_timers)
        await sql.execute(_CANCEL_TIMERS, [kind for kind, _ in gone], [key for _, key in gone])
    if effects.timers:
        rows = sorted(effects.timers.items())  # one lock order for everybody: no deadlock between two batches
        await sql.execute(
            _SET_TIMERS,
            [kind for (kind, _), _ in rows],
            [key for (_, key), _ in rows],
            [due_at for _, (due_at, _) in rows],
            [payload for _, (_, payload) in rows],
        )


async def save_outbox(sql: Sql, owner: int, events: Sequence[Outgoing]) -> None:
    """Write events that no Kafka record caused; whoever commits this transaction publishes them."""
    if events:
        await sql.execute(
            _INSERT_OUTBOX,
            [event.id for event in events],
            owner,
            [event.key for event in events],
            [msgspec.msgpack.encode(event) for event in events],
        )


async def save_audits(sql: Sql, now: datetime, rows: Sequence[AuditRow]) -> None:
    """Append audit rows."""
    if rows:
        await sql.execute(
            _INSERT_AUDIT,
            [new_id() for _ in rows],
            [now] * len(rows),
            [row.actor for row in rows],
            [row.action for row in rows],
            [row.subject for row in rows],
            [_json(row.before) for row in rows],
            [_json(row.after) for row in rows],
            [row.why for row in rows],
        )


async def save_effects(sql: Sql, owner: int, now: datetime, effects: Effects) -> None:
    """Save everything but what received events caused (that goes into their inbox rows)."""
    await save_timers(sql, effects)
    await save_outbox(sql, owner, effects.emitted)
    await save_audits(sql, now, effects.audits)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
