"""SQL in, lead files out. One load and two writes per batch, whatever its size."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Select, select, tuple_

from shared.db import Record, Sql
from shared.documents import DocumentStore, LiveDocument
from shared.runtime import Retryable
from sla_monitor import tables
from sla_monitor.domain.clocks import Clock
from sla_monitor.domain.journeys import Journey, LeadFile, Rules
from sla_monitor.domain.policies import PolicyDocument

_JSON = msgspec.json.Encoder()
_JOURNEY = msgspec.json.Decoder(Journey)
_CLOCK = msgspec.json.Decoder(Clock)

# One statement, so one snapshot: a lead's version and its clocks belong together, and `save_files` can tell by the
# version whether somebody else wrote in between. Open clocks first: a lead with more than 500 clocks is a robot's, and
# its oldest closed ones no longer change.
_LOAD = """
    SELECT lead.lead_id::text AS lead_id, lead.version, lead.journey,
           ARRAY(
               SELECT clock.detail FROM clock WHERE clock.lead_id = lead.lead_id
               ORDER BY clock.closed_at IS NOT NULL, clock.clock_id DESC LIMIT 500
           ) AS clocks
    FROM lead WHERE lead.lead_id = ANY($1::uuid[])
"""
_LOCK = """
    SELECT lead_id::text FROM lead WHERE lead_id = ANY($1::uuid[]) ORDER BY lead_id FOR UPDATE SKIP LOCKED
"""
_SAVE_LEADS = """
    INSERT INTO lead (lead_id, version, journey)
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bytea[])
    ON CONFLICT (lead_id) DO UPDATE SET version = EXCLUDED.version, journey = EXCLUDED.journey
    WHERE lead.version = EXCLUDED.version - 1
"""
_SAVE_CLOCKS = """
    INSERT INTO clock (lead_id, clock_id, stage, policy_id, policy_version, state, started_at, due_at, closed_at,
                       met_at, rep_id, detail)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::bytea[])
    ON CONFLICT (lead_id, clock_id) DO UPDATE SET
        state = EXCLUDED.state, started_at = EXCLUDED.started_at, due_at = EXCLUDED.due_at,
        closed_at = EXCLUDED.closed_at, met_at = EXCLUDED.met_at, detail = EXCLUDED.detail
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
        files = {lead_id: LeadFile(lead_id) for lead_id in lead_ids}
        for row in await self._sql.fetch(_LOAD, list(lead_ids)):
            files[row["lead_id"]] = _file(row)
        return files

    async def load_free_files(self, lead_ids: Collection[str]) -> dict[str, LeadFile]:
        """Lock the leads that nobody is writing and return their files; leave the others out instead of waiting."""
        free = [row["lead_id"] for row in await self._sql.fetch(_LOCK, list(lead_ids))]
        return await self.load_files(free) if free else {}

    async def find_file(self, lead_id: str) -> LeadFile | None:
        """Return a lead's file, or None."""
        row = await self._sql.fetchrow(_LOAD, [lead_id])
        return None if row is None else _file(row)

    async def save_files(self, files: Iterable[LeadFile]) -> None:
        """Write what changed. Errors: `Retryable` if another process wrote one of the leads since it was loaded."""
        changed = sorted((file for file in files if file.is_changed), key=lambda file: file.lead_id)
        if not changed:
            return
        tag = await self._sql.execute(
            _SAVE_LEADS,
            [file.lead_id for file in changed],
            [file.version + 1 for file in changed],
            [_JSON.encode(file.journey) for file in changed],
        )
        if int(tag.rpartition(" ")[2]) != len(changed):
            raise Retryable(timedelta(milliseconds=20), reason="another process wrote the same lead")
        clocks = [file.clocks[clock_id] for file in changed for clock_id in sorted(file.changed)]
        if clocks:
            await self._sql.execute(_SAVE_CLOCKS, *_columns(clocks))

    async def list_open_clocks(
        self, filters: dict[str, str], after: tuple[datetime, str] | None, limit: int
    ) -> list[Clock]:
        """Return clocks that still run, the one with the least time left first. ``filters``: column = value."""
        rows = await self._sql.select(_open_clocks(filters, after, limit))
        return [_CLOCK.decode(row["detail"]) for row in rows]

    async def list_compliance(self, start: datetime, end: datetime) -> list[Record]:
        """Return, per stage and policy, what became of the clocks that started in [start, end)."""
        return await self._sql.fetch(_COMPLIANCE, start, end)

    async def count_open_clocks(self) -> list[Record]:
        """Return how many clocks run, by stage and state."""
        return await self._sql.fetch(_CENSUS)


def _open_clocks(filters: dict[str, str], after: tuple[datetime, str] | None, limit: int) -> Select[Any]:
    clock = tables.clock
    statement = select(clock.c.detail).where(clock.c.closed_at.is_(None))
    for column, value in filters.items():
        statement = statement.where(clock.c[column] == value)
    if after is not None:
        statement = statement.where(tuple_(clock.c.due_at, clock.c.clock_id) > tuple_(*after))
    return statement.order_by(clock.c.due_at, clock.c.clock_id).limit(limit)


def _file(row: Record) -> LeadFile:
    clocks = [_CLOCK.decode(detail) for detail in row["clocks"]]
    return LeadFile(
        row["lead_id"], row["version"], _JOURNEY.decode(row["journey"]), {clock.clock_id: clock for clock in clocks}
    )


def _columns(clocks: Sequence[Clock]) -> list[list[Any]]:
    return [
        [clock.lead_id for clock in clocks],
        [clock.clock_id for clock in clocks],
        [clock.stage for clock in clocks],
        [clock.policy_id for clock in clocks],
        [clock.policy_version for clock in clocks],
        [clock.state for clock in clocks],
        [clock.deadline.started_at for clock in clocks],
        [clock.deadline.due_at for clock in clocks],
        [None if clock.stop is None else clock.stop.at for clock in clocks],
        [clock.stop.at if clock.stop is not None and clock.stop.is_met else None for clock in clocks],
        [clock.rep_id for clock in clocks],
        [_JSON.encode(clock) for clock in clocks],
    ]
