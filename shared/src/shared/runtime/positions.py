"""Where a consumer stands, kept in its service's own schema: what decides at which offset a partition is begun.

Kafka's committed offset alone cannot: it is forgotten together with a deleted topic, and after a restore of the
database it is ahead of what the database has handled.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shared.db import Sql

_ADD = """
    INSERT INTO consumer_position (consumer, topic, partition, topic_id, next_offset, updated_at)
    SELECT $1, topic, partition, topic_id, next_offset, now()
    FROM unnest($2::text[], $3::int[], $4::uuid[], $5::bigint[]) AS rows(topic, partition, topic_id, next_offset)
    ON CONFLICT (consumer, topic, partition) DO NOTHING
"""
_FIND = """
    SELECT topic, partition, topic_id, next_offset FROM consumer_position
    WHERE consumer = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::int[]))
"""
# Never of another topic than the row's: a process that wakes up late would undo what an operator has accepted.
_MOVE = """
    UPDATE consumer_position AS at SET next_offset = rows.next_offset, updated_at = now()
    FROM unnest($2::text[], $3::int[], $4::uuid[], $5::bigint[]) AS rows(topic, partition, topic_id, next_offset)
    WHERE at.consumer = $1 AND at.topic = rows.topic AND at.partition = rows.partition AND at.topic_id = rows.topic_id
"""


class Place(NamedTuple):
    """A partition of a topic, by the registry's name of it."""

    topic: str
    partition: int


class Position(NamedTuple):
    """What was handled of a partition: everything before ``next_offset`` of the topic that had this id."""

    topic_id: uuid.UUID
    next_offset: int


@dataclass(frozen=True, slots=True)
class Log:
    """A partition as the broker has it: records from ``beginning`` up to, not including, ``end``."""

    topic_id: uuid.UUID
    beginning: int
    end: int


@dataclass(frozen=True, slots=True)
class Start:
    """Begin at ``offset``. ``lost``: records that were deleted before they were handled."""

    offset: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Do not begin: the partition is not the one that was read so far. ``detail`` is a clause for people."""

    detail: str


def first_position(log: Log, committed: int | None) -> Position:
    """Return the position of a partition that no position is kept of: as committed, else before everything."""
    return Position(log.topic_id, log.beginning if committed is None else committed)


def choose_start(kept: Position, committed: int | None, log: Log) -> Start | Refused:
    """Choose where to begin a partition.

    The smaller of what is kept and what Kafka has committed: an operator may rewind the one, a restored database brings
    back the other, and handling an event again is harmless.
    """
    if kept.topic_id != log.topic_id:
        return Refused("was deleted and created again")
    if kept.next_offset > log.end:
        return Refused(f"ends at {log.end}, before the {kept.next_offset} that was reached")
    known = kept.next_offset if committed is None else min(kept.next_offset, committed)
    return Start(max(known, log.beginning), lost=max(0, log.beginning - kept.next_offset))


async def open_positions(sql: Sql, consumer: str, firsts: Mapping[Place, Position]) -> dict[Place, Position]:
    """Return what is kept of each place, after keeping *firsts* for those of which nothing was."""
    await sql.execute(_ADD, consumer, *_columns(firsts))
    topics, partitions, *_ = _columns(firsts)
    rows = await sql.fetch(_FIND, consumer, topics, partitions)
    return {Place(row["topic"], row["partition"]): Position(row["topic_id"], row["next_offset"]) for row in rows}


async def move_positions(sql: Sql, consumer: str, reached: Mapping[Place, Position]) -> None:
    """Keep *reached*, also where it is less than before; nothing where another topic's position is kept."""
    await sql.execute(_MOVE, consumer, *_columns(reached))


def _columns(positions: Mapping[Place, Position]) -> tuple[list[str], list[int], list[uuid.UUID], list[int]]:
    rows = sorted(positions.items())  # one lock order for everybody
    return (
        [place.topic for place, _ in rows],
        [place.partition for place, _ in rows],
        [position.topic_id for _, position in rows],
        [position.next_offset for _, position in rows],
    )
