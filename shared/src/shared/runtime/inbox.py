"""The inbox: proof that an event was handled, with what it emitted."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from shared.db import Sql
from shared.ids import instant_of
from shared.kafka import Outgoing
from shared.runtime.envelope import Arrived, DeadLetter, pack_emitted, unpack_emitted
from shared.runtime.partitions import day_of, ensure_days

TABLE = "inbox"

_INSERT = """
    INSERT INTO inbox (consumer, event_id, emitted)
    SELECT $1, * FROM unnest($2::uuid[], $3::bytea[])
    ON CONFLICT DO NOTHING
"""
_INSERT_DEAD = """
    INSERT INTO dead_letter (consumer, topic, partition, "offset", key, headers, payload, reason)
    SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[])
    ON CONFLICT DO NOTHING
"""


class AlreadyHandled(Exception):
    """Some event of the batch has an inbox row: it was redelivered, or another process handled it meanwhile."""


async def record(sql: Sql, consumer: str, event_ids: Sequence[str], emitted: Mapping[str, list[Outgoing]]) -> None:
    """Insert one row per event. Errors: `AlreadyHandled` if any row exists; the transaction must then roll back."""
    rows = [pack_emitted(emitted[event_id]) if event_id in emitted else None for event_id in event_ids]
    tag = await sql.execute(_INSERT, consumer, event_ids, rows)
    if int(tag.rsplit(" ", 1)[1]) != len(event_ids):
        raise AlreadyHandled


async def find_emitted(sql: Sql, consumer: str, event_ids: Sequence[str]) -> dict[str, list[Outgoing]]:
    """Return, for those of *event_ids* that were handled before, what each emitted."""
    rows = await sql.fetch(
        "SELECT event_id::text AS id, emitted FROM inbox WHERE consumer = $1 AND event_id = ANY($2::uuid[])",
        consumer,
        event_ids,
    )
    return {row["id"]: unpack_emitted(row["emitted"]) for row in rows}


async def save_dead_letters(sql: Sql, consumer: str, letters: Sequence[DeadLetter]) -> None:
    """Keep undecodable records; a redelivered one is kept once."""
    if not letters:
        return
    await sql.execute(
        _INSERT_DEAD,
        consumer,
        [letter.topic for letter in letters],
        [letter.partition for letter in letters],
        [letter.offset for letter in letters],
        [letter.key for letter in letters],
        [letter.headers for letter in letters],
        [letter.payload for letter in letters],
        [letter.reason for letter in letters],
    )


async def ensure_inbox_days(sql: Sql, arrived: Iterable[Arrived]) -> None:
    """Make the partitions for the days of these events: a rewound topic may hold days that had none yet."""
    await ensure_days(sql, TABLE, {day_of(instant_of(item.received.id)) for item in arrived})


def is_missing_partition(error: BaseException) -> bool:
    """Tell whether an insert failed because a day had no partition."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)
