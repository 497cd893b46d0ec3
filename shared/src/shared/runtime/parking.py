"""The parking table: a lead whose event no handler can digest waits here, with everything that came after it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.contracts import Event, LeadParked, LeadReleased, Origin
from shared.db import Record, Sql
from shared.logs import storable
from shared.runtime.envelope import Arrived
from shared.runtime.work import Effects, UnitOfWork

MAX_ERROR = 500
WAITS = "waits behind an earlier event"

_INSERT = """
    INSERT INTO parked (consumer, key, event_id, type, topic, partition, "offset", time, payload, traceparent, error,
                        parked_at)
    SELECT $1, key, event_id, type, topic, partition, "offset", time, payload, traceparent, error, $2
    FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::int[], $8::bigint[], $9::timestamptz[],
                $10::bytea[], $11::text[], $12::text[])
         AS rows(key, event_id, type, topic, partition, "offset", time, payload, traceparent, error)
    ON CONFLICT DO NOTHING
"""


class ParkedKeys:
    """The keys this process knows to be parked: a filter, so that the common case asks nothing of the database.

    Only the owner of a partition parks its keys, and it reloads this set when partitions are assigned: a key can be
    missing here only if nobody parked it. A key that is here but was released meanwhile is checked in the database.
    """

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._keys: set[str] = set()

    async def reload(self, sql: Sql) -> None:
        """Read the set anew."""
        rows = await sql.fetch("SELECT DISTINCT key FROM parked WHERE consumer = $1", self._consumer)
        self._keys = {row["key"] for row in rows}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str) -> None:
        """Remember a key that was just parked."""
        self._keys.add(key)

    def discard(self, keys: Iterable[str]) -> None:
        """Forget keys that are no longer parked."""
        self._keys.difference_update(keys)


async def lock_key(sql: Sql, consumer: str, key: str) -> None:
    """Serialise parking and releasing of one lead: without it an event could overtake the ones being released."""
    await sql.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{consumer}/{key}")


async def list_parked_keys(sql: Sql, consumer: str, keys: Sequence[str]) -> set[str]:
    """Return those of *keys* that are parked, holding their lock until the transaction ends."""
    for key in sorted(set(keys)):
        await lock_key(sql, consumer, key)
    rows = await sql.fetch(
        "SELECT DISTINCT key FROM parked WHERE consumer = $1 AND key = ANY($2::text[])", consumer, list(keys)
    )
    return {row["key"] for row in rows}


async def save_parked(sql: Sql, consumer: str, items: Sequence[Arrived], error: str, now: datetime) -> None:
    """Append events to the lot. ``error`` belongs to the first; the others wait behind it."""
    await sql.execute(
        _INSERT,
        consumer,
        now,
        [item.received.key for item in items],
        [item.received.id for item in items],
        [item.received.event.type for item in items],
        [item.topic for item in items],
        [item.partition for item in items],
        [item.offset for item in items],
        [item.received.time for item in items],
        [item.payload for item in items],
        [item.received.traceparent for item in items],
        [storable(error)[:MAX_ERROR]] + [WAITS] * (len(items) - 1),
    )


def announce_parked(effects: Effects, consumer: str, items: Sequence[Arrived], error: str, now: datetime) -> None:
    """Tell the ledger that this lead waits for a person. *items*: what is parked now, the first of them for *error*."""
    first = items[0].received
    work: UnitOfWork[None] = UnitOfWork(None, now, effects, first.traceparent)
    work.emit(
        LeadParked(
            lead_id=first.key,
            consumer=consumer,
            parked_event_id=first.id,
            error=error.split(":", maxsplit=1)[0],
            record_ids=records_of(item.received.event for item in items),
        )
    )


def announce_waiting(effects: Effects, consumer: str, items: Sequence[Arrived], now: datetime) -> None:
    """Tell the ledger that more of a parked lead waits. Not of announcements: they would announce themselves."""
    news = [item for item in items if not isinstance(item.received.event, LeadParked | LeadReleased)]
    if news:
        announce_parked(effects, consumer, news, WAITS, now)


def records_of(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the submission records that *events* are about, each once."""
    origins = (getattr(event, "origin", None) for event in events)
    return tuple(dict.fromkeys(origin.record_id for origin in origins if isinstance(origin, Origin)))


async def list_events_of(sql: Sql, consumer: str, key: str) -> list[Record]:
    """Return the lead's parked events in the order in which they arrived, locked."""
    await lock_key(sql, consumer, key)
    return await sql.fetch(
        "SELECT *, event_id::text AS id FROM parked WHERE consumer = $1 AND key = $2 ORDER BY parked_id FOR UPDATE",
        consumer,
        key,
    )
