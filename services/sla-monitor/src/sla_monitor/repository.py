"""SQL in, lead files out. One load and one write per batch, whatever its size."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from asyncpg import UniqueViolationError
from sqlalchemy import Select, select, tuple_

from shared.db import Record, Sql
from shared.documents import DocumentStore, LiveDocument
from shared.runtime import Retryable
from sla_monitor import tables
from sla_monitor.clock_record import COLUMNS, clock_of, pack_detail
from sla_monitor.domain.clocks import Clock
from sla_monitor.domain.facts import Journey
from sla_monitor.domain.journeys import LeadFile, Rules
from sla_monitor.domain.policies import PolicyDocument

ClockRef = tuple[str, int]
"""A clock's lead, and which of the lead's clocks it is."""

OTHER_WRITER = timedelta(milliseconds=20)  # what another process does with a batch takes about that long

_ENCODE = msgspec.msgpack.Encoder().encode
_JOURNEY = msgspec.msgpack.Decoder(Journey)

# One statement, so one snapshot: a lead's version and its clocks belong together, and `save_files` can tell by the
# version whether somebody else wrote in between. Open clocks first: a lead with more than 500 clocks is a robot's, and
# its oldest closed ones no longer change.
_LOAD = f"""
    SELECT lead.lead_id::text, lead.version, lead.clock_count, lead.journey,
           {", ".join(f"clock.{name}" for name in COLUMNS)}
    FROM lead LEFT JOIN LATERAL (
        SELECT * FROM clock WHERE clock.lead_id = lead.lead_id
        ORDER BY clock.closed_at IS NOT NULL, clock.number DESC LIMIT 500
    ) AS clock ON true
    WHERE lead.lead_id = ANY($1::uuid[])
"""  # noqa: S608 - a constant
_LOCK = """
    SELECT lead_id::text FROM lead WHERE lead_id = ANY($1::uuid[]) ORDER BY lead_id FOR UPDATE SKIP LOCKED
"""
# One round trip for everything. ON CONFLICT costs a new row two more log records, so only those that exist get it; and
# not UPDATE … FROM, which on a young table is planned as a scan of all of it and stays so. Clocks are written by
# whoever moves their lead's version on; if that fails for one lead, nothing is kept.
_CLOCK_COLUMNS = """lead_id, number, clock_id, stage, policy_id, policy_version, state, started_at, due_at, closed_at,
                    met_at, rep_id, detail"""
_SAVE = f"""
    WITH new_lead AS (
        INSERT INTO lead (lead_id, version, clock_count, journey)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::bytea[])
    ), moved_lead AS (
        INSERT INTO lead (lead_id, version, clock_count, journey)
        SELECT * FROM unnest($5::uuid[], $6::integer[], $7::integer[], $8::bytea[])
        ON CONFLICT (lead_id) DO UPDATE SET
            version = EXCLUDED.version, clock_count = EXCLUDED.clock_count, journey = EXCLUDED.journey
        WHERE lead.version = EXCLUDED.version - 1
        RETURNING 1
    ), new_clock AS (
        INSERT INTO clock ({_CLOCK_COLUMNS})
        SELECT * FROM unnest($9::uuid[], $10::integer[], $11::text[], $12::text[], $13::text[], $14::text[],
                             $15::text[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[],
                             $19::timestamptz[], $20::text[], $21::bytea[])
    ), moved_clock AS (
        INSERT INTO clock ({_CLOCK_COLUMNS})
        SELECT * FROM unnest($22::uuid[], $23::integer[], $24::text[], $25::text[], $26::text[], $27::text[],
                             $28::text[], $29::timestamptz[], $30::timestamptz[], $31::timestamptz[],
                             $32::timestamptz[], $33::text[], $34::bytea[])
        ON CONFLICT (lead_id, number) DO UPDATE SET
            state = EXCLUDED.state, started_at = EXCLUDED.started_at, due_at = EXCLUDED.due_at,
            closed_at = EXCLUDED.closed_at, met_at = EXCLUDED.met_at, detail = EXCLUDED.detail
    )
    SELECT count(*) FROM moved_lead
"""  # noqa: S608 - a constant
_RUNNING = """
    SELECT wanted.lead_id::text, wanted.number FROM unnest($1::uuid[], $2::integer[]) AS wanted(lead_id, number)
    CROSS JOIN LATERAL (
        SELECT closed_at FROM clock WHERE clock.lead_id = wanted.lead_id AND clock.number = wanted.number LIMIT 1
    ) AS known WHERE known.closed_at IS NULL
"""
_COMPLIANCE = """
    SELECT stage, policy_id, count(*) AS started,
           count(*) FILTER (WHERE state = 'met') AS met,
           count(*) FILTER (WHERE state IN ('breached', 'escalated')) AS breached,
           count(*) FILTER (WHERE state IN ('breached', 'escalated') AND met_at IS NOT NULL) AS met_late,
           count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE state IN ('started', 'at_risk')) AS running
    FROM clock WHERE started_at >= $1 AND started_at < $2 GROUP BY stage, policy_id ORDER BY stage, policy_id
"""
_CENSUS = "SELECT stage, state, count(*) AS clocks FROM clock WHERE closed_at IS NULL GROUP BY stage, state"


class SlaRepository:
    """Leads, clocks and policies on one connection."""

    def __init__(self, sql: Sql, policies: DocumentStore[PolicyDocument]) -> None:
        self._sql = sql
        self._policies = policies

    @property
    def live_policies(self) -> LiveDocument[PolicyDocument]:
        """Return the policy document in force."""
        return self._policies.live

    async def get_policies(self, version: str) -> PolicyDocument:
        """Return a version of the policy document. Errors: `DocumentNotFound`."""
        live = self._policies.live
        return live.value if live.version == version else await self._policies.get(version)

    async def get_rules(self, files: Iterable[LeadFile]) -> Rules:
        """Return the document in force and the versions that the files' clocks were started under."""
        live = self._policies.live
        documents = {live.version: live.value}
        for version in {clock.policy_version for file in files for clock in file.clocks.values()} - {live.version}:
            documents[version] = await self._policies.get(version)
        return Rules(live.version, documents)

    async def load_files(self, lead_ids: Collection[str]) -> dict[str, LeadFile]:
        """Return a file for each lead; an empty one for a lead that is not known yet."""
        files = _files(await self._sql.fetch(_LOAD, list(lead_ids)))
        for lead_id in lead_ids:
            if lead_id not in files:
                files[lead_id] = LeadFile(lead_id)
        return files

    async def load_free_files(self, lead_ids: Collection[str]) -> dict[str, LeadFile]:
        """Lock the leads that nobody is writing and return their files; leave the others out instead of waiting."""
        free = [row[0] for row in await self._sql.fetch(_LOCK, list(lead_ids))]
        return _files(await self._sql.fetch(_LOAD, free)) if free else {}

    async def find_file(self, lead_id: str) -> LeadFile | None:
        """Return a lead's file, or None."""
        return _files(await self._sql.fetch(_LOAD, [lead_id])).get(lead_id)

    async def save_files(self, files: Iterable[LeadFile]) -> None:
        """Write what changed. Errors: `Retryable` if another process wrote one of the leads since it was loaded."""
        changed = sorted([file for file in files if file.is_changed], key=lambda file: file.lead_id)
        if not changed:
            return
        new = [file for file in changed if file.version == 0]
        moved = [file for file in changed if file.version > 0]
        new_clocks: list[Clock] = []
        moved_clocks: list[Clock] = []
        for file in changed:
            for clock_id, before in file.changed.items():
                (new_clocks if before is None else moved_clocks).append(file.clocks[clock_id])
        try:
            count = await self._sql.fetchval(
                _SAVE,
                *_lead_columns(new),
                *_lead_columns(moved),
                *_clock_columns(new_clocks),
                *_clock_columns(moved_clocks),
            )
        except UniqueViolationError as error:
            raise Retryable(OTHER_WRITER, reason="another process wrote the same new lead") from error
        if count != len(moved):
            raise Retryable(OTHER_WRITER, reason="another process wrote the same lead")

    async def find_running(self, refs: Collection[ClockRef]) -> set[ClockRef]:
        """Return those of *refs* whose clocks still run."""
        rows = await self._sql.fetch(_RUNNING, [lead_id for lead_id, _ in refs], [number for _, number in refs])
        return {(lead_id, number) for lead_id, number in rows}

    async def list_open_clocks(
        self, filters: dict[str, str], after: tuple[datetime, str, str] | None, limit: int
    ) -> list[Clock]:
        """Return clocks that still run, the one with the least time left first. ``filters``: column = value."""
        rows = await self._sql.select(_open_clocks(filters, after, limit))
        return [clock_of(str(lead_id), columns) for lead_id, *columns in rows]

    async def list_compliance(self, start: datetime, end: datetime) -> list[Record]:
        """Return, per stage and policy, what became of the clocks that started in [start, end)."""
        return await self._sql.fetch(_COMPLIANCE, start, end)

    async def count_open_clocks(self) -> list[Record]:
        """Return how many clocks run, by stage and state."""
        return await self._sql.fetch(_CENSUS)


def _open_clocks(filters: dict[str, str], after: tuple[datetime, str, str] | None, limit: int) -> Select[Any]:
    clock = tables.clock
    order = (clock.c.due_at, clock.c.lead_id, clock.c.clock_id)
    statement = select(clock.c.lead_id, *(clock.c[name] for name in COLUMNS)).where(clock.c.closed_at.is_(None))
    for column, value in filters.items():
        statement = statement.where(clock.c[column] == value)
    if after is not None:
        statement = statement.where(tuple_(*order) > after)
    return statement.order_by(*order).limit(limit)


def _files(rows: Sequence[Record]) -> dict[str, LeadFile]:
    files: dict[str, LeadFile] = {}
    for lead_id, version, clock_count, journey, *columns in rows:
        file = files.get(lead_id)
        if file is None:
            file = files[lead_id] = LeadFile(lead_id, version, _JOURNEY.decode(journey), clock_count=clock_count)
        if columns[0] is not None:
            clock = clock_of(lead_id, columns)
            file.clocks[clock.clock_id] = clock
    return files


def _lead_columns(files: Sequence[LeadFile]) -> list[list[Any]]:
    return [
        [file.lead_id for file in files],
        [file.version + 1 for file in files],
        [file.clock_count for file in files],
        [_ENCODE(file.journey) for file in files],
    ]


def _clock_columns(clocks: Sequence[Clock]) -> list[list[Any]]:
    stops = [clock.stop for clock in clocks]
    return [
        [clock.lead_id for clock in clocks],
        [clock.number for clock in clocks],
        [clock.clock_id for clock in clocks],
        [clock.stage for clock in clocks],
        [clock.policy_id for clock in clocks],
        [clock.policy_version for clock in clocks],
        [clock.state for clock in clocks],
        [clock.deadline.started_at for clock in clocks],
        [clock.deadline.due_at for clock in clocks],
        [None if stop is None else stop.at for stop in stops],
        [stop.at if stop is not None and stop.is_met else None for stop in stops],
        [clock.rep_id for clock in clocks],
        [pack_detail(clock) for clock in clocks],
    ]
