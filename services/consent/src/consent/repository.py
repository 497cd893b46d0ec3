"""The consent ledger, standings, decisions and suppressions in Postgres: set-based, one statement per step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import select, tuple_

from consent.domain.rules import RuleTable
from consent.domain.statements import Standing
from consent.domain.suppression import hashes_of
from consent.domain.verdict import LeadDecision
from consent.ledger import LedgerRow, ledger_row, take_in
from consent.tables import consent_event, suppression
from shared.contracts import LeadScored
from shared.db import Record, Sql
from shared.documents import DocumentStore, LiveDocument

# Advisory locks are per database: spaces of our own, beside other services'.
_LOCK_SPACE: Final = 0xC0A5
_ADDRESS_SPACE: Final = 0xC0A6

_SCORED = msgspec.json.Decoder(LeadScored)
_STANDING = msgspec.msgpack.Decoder(Standing)
_DECISION = msgspec.msgpack.Decoder(LeadDecision)
_TO_JSON = msgspec.json.Encoder().encode
_TO_MSGPACK = msgspec.msgpack.Encoder().encode

_LOCK = "SELECT pg_advisory_xact_lock($1, key) FROM unnest($2::int[]) AS keys (key)"
_LOCK_WITH_ADDRESSES = """
    SELECT pg_advisory_xact_lock($1, key) FROM unnest($2::int[]) AS keys (key)
    UNION ALL SELECT pg_advisory_xact_lock_shared($3, key) FROM unnest($4::int[]) AS keys (key)
"""
_TRY_LOCK = "SELECT key FROM unnest($2::int[]) AS keys (key) WHERE pg_try_advisory_xact_lock($1, key)"
_LOAD = """
    SELECT lead_id::text, standing, scored, is_cleared FROM lead_consent WHERE lead_id = ANY($1::uuid[])
"""
_ADD_EVENTS = """
    INSERT INTO consent_event (lead_id, record_id, state, purposes, channels, happened_at, known_at, method,
                               lawful_basis, notice_version, text_shown, is_double_opt_in, actor)
    SELECT lead_id, record_id, state, string_to_array(purposes, ' '), string_to_array(channels, ' '), happened_at,
           known_at, method, lawful_basis, notice_version, text_shown, is_double_opt_in, actor
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[], $13::text[])
         AS rows (lead_id, record_id, state, purposes, channels, happened_at, known_at, method, lawful_basis,
                  notice_version, text_shown, is_double_opt_in, actor)
    ON CONFLICT DO NOTHING
"""
_SAVE = """
    WITH
    -- whose address it is
    addresses AS (
        INSERT INTO lead_address (address_hash, lead_id)
        SELECT * FROM unnest($11::bytea[], $12::uuid[]) ON CONFLICT DO NOTHING
    ),
    -- every decision of the batch
    history AS (
        INSERT INTO consent_decision (lead_id, decision_id, decided_at, table_version, decision)
        SELECT lead_id, decision_id, $1, table_version, decision
        FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::bytea[])
             AS rows (lead_id, decision_id, table_version, decision)
    )
    -- where each lead stands after it
    INSERT INTO lead_consent AS known (lead_id, standing, scored, decision_id, is_cleared)
    SELECT * FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::uuid[], $6::boolean[])
    ON CONFLICT (lead_id) DO UPDATE SET
        standing = EXCLUDED.standing, scored = coalesce(EXCLUDED.scored, known.scored),
        decision_id = coalesce(EXCLUDED.decision_id, known.decision_id), is_cleared = EXCLUDED.is_cleared
"""
_SUPPRESS = """
    INSERT INTO suppression AS known (address_hash, channels, reason, added_at, added_by)
    SELECT address_hash, string_to_array(channels, ' '), reason, $4, $5
    FROM unnest($1::bytea[], $2::text[], $3::text[]) AS rows (address_hash, channels, reason)
    ORDER BY address_hash
    ON CONFLICT (address_hash) DO UPDATE
        SET channels = (SELECT array_agg(DISTINCT channel ORDER BY channel)
                        FROM unnest(known.channels || EXCLUDED.channels) AS all_of (channel))
"""


@dataclass(slots=True)
class LeadState:
    """What is known of one lead while a batch is being decided; ``scored`` is None until the lead is known."""

    lead_id: str
    standing: Standing
    scored: LeadScored | None
    is_cleared: bool
    is_fresh_scored: bool = False
    decision: LeadDecision | None = None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What the suppression list says of some addresses: by hash, the closed channels and since when."""

    by_hash: dict[bytes, tuple[frozenset[str], datetime]]

    def channels(self, hashes: Iterable[bytes], *, at: datetime | None = None) -> frozenset[str]:
        """Return the channels closed for a person with the addresses *hashes*; with *at*, those closed by then."""
        found = (self.by_hash[digest] for digest in hashes if digest in self.by_hash)
        return frozenset[str]().union(*(channels for channels, since in found if at is None or since <= at))


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything a lead ever said."""

    rows: list[LedgerRow]

    def standing(self, at: datetime) -> Standing:
        """Return where the lead stood at *at*: what it had said by then."""
        return take_in(Standing(), [row for row in self.rows if row.happened_at <= at])


class ConsentRepository:
    """Everything consent stores. Built per transaction; reads and writes only inside it."""

    def __init__(self, sql: Sql, tables: DocumentStore[RuleTable], pepper: bytes) -> None:
        self._sql = sql
        self._tables = tables
        self.pepper = pepper

    @property
    def live_table(self) -> LiveDocument[RuleTable]:
        """The rule table in force, and its version."""
        return self._tables.live

    async def lock_leads(self, lead_ids: Sequence[str], hashes: Iterable[bytes] = ()) -> None:
        """Wait until no other transaction decides about these leads, and keep it so until this one ends.

        Two topics, a timer and the API can speak of one lead at once, in two processes. Without the lock a withdrawal
        could be folded into a standing that another transaction is about to overwrite: the "no" would be lost.
        Nor can an address of *hashes* be suppressed until then: who decides without seeing the suppression has
        written down whose address it is before `find_leads_at` looks for them.
        """
        leads = sorted({_lock_key(lead_id) for lead_id in lead_ids})
        addresses = sorted({_address_key(digest) for digest in hashes})
        await self._sql.execute(_LOCK_WITH_ADDRESSES, _LOCK_SPACE, leads, _ADDRESS_SPACE, addresses)

    async def try_lock_leads(self, lead_ids: Sequence[str]) -> set[str]:
        """Like `lock_leads` for those that are free; return them. Never waits.

        The timer loop holds its timer's row, for which a batch that holds the lead may wait: waiting here would be a
        deadlock.
        """
        rows = await self._sql.fetch(_TRY_LOCK, _LOCK_SPACE, sorted({_lock_key(lead_id) for lead_id in lead_ids}))
        free = {row["key"] for row in rows}
        return {lead_id for lead_id in lead_ids if _lock_key(lead_id) in free}

    async def load_states(self, lead_ids: Sequence[str]) -> dict[str, LeadState]:
        """Return the present state of every lead; one nobody knows stands empty."""
        rows = await self._sql.fetch(_LOAD, list(lead_ids))
        states = {
            row["lead_id"]: LeadState(
                lead_id=row["lead_id"],
                standing=_STANDING.decode(row["standing"]),
                scored=_SCORED.decode(row["scored"]) if row["scored"] else None,
                is_cleared=row["is_cleared"],
            )
            for row in rows
        }
        for lead_id in lead_ids:
            states.setdefault(lead_id, LeadState(lead_id, Standing(), None, is_cleared=False))
        return states

    async def find_suppressed(self, hashes: Iterable[bytes]) -> Suppressed:
        """Return what is on the list of the addresses *hashes*."""
        wanted = sorted(set(hashes))
        if not wanted:
            return Suppressed({})
        rows = await self._sql.fetch(
            "SELECT address_hash, channels, added_at FROM suppression WHERE address_hash = ANY($1::bytea[])", wanted
        )
        return Suppressed({row["address_hash"]: (frozenset(row["channels"]), row["added_at"]) for row in rows})

    async def add_events(self, rows: Sequence[LedgerRow]) -> None:
        """Append to the ledger; a row that is there already (the same record_id) stays as it is."""
        if not rows:
            return
        await self._sql.execute(
            _ADD_EVENTS,
            [row.lead_id for row in rows],
            [row.record_id for row in rows],
            [row.state for row in rows],
            [" ".join(row.purposes) for row in rows],
            [" ".join(row.channels) for row in rows],
            [row.happened_at for row in rows],
            [row.known_at for row in rows],
            [row.method for row in rows],
            [row.lawful_basis for row in rows],
            [row.notice_version for row in rows],
            [row.text_shown for row in rows],
            [row.is_double_opt_in for row in rows],
            [row.actor for row in rows],
        )

    async def save(
        self, states: Sequence[LeadState], decisions: Sequence[tuple[str, LeadDecision]], now: datetime
    ) -> None:
        """Write where each lead stands, and append the (lead_id, decision) pairs."""
        if not states:
            return
        await self._sql.execute(
            _SAVE,
            now,
            [state.lead_id for state in states],
            [_TO_MSGPACK(state.standing) for state in states],
            [_TO_JSON(state.scored) if state.is_fresh_scored else None for state in states],
            [state.decision.decision_id if state.decision else None for state in states],
            [state.is_cleared for state in states],
            [lead_id for lead_id, _ in decisions],
            [decision.decision_id for _, decision in decisions],
            [decision.table_version for _, decision in decisions],
            [_TO_MSGPACK(decision) for _, decision in decisions],
            *self._address_columns(states),
        )

    def _address_columns(self, states: Sequence[LeadState]) -> tuple[list[bytes], list[str]]:
        rows = sorted(
            (digest, state.lead_id)
            for state in states
            if state.is_fresh_scored and state.scored is not None
            for digest in hashes_of(self.pepper, state.scored.lead)
        )
        return [digest for digest, _ in rows], [lead_id for _, lead_id in rows]

    async def find_leads_at(self, hashes: Sequence[bytes]) -> dict[bytes, list[str]]:
        """Return the leads that have each of these addresses."""
        found: dict[bytes, list[str]] = {}
        for row in await self._sql.fetch(
            "SELECT address_hash, lead_id::text FROM lead_address WHERE address_hash = ANY($1::bytea[])", list(hashes)
        ):
            found.setdefault(row["address_hash"], []).append(row["lead_id"])
        return found

    async def load_ledgers(self, lead_ids: Sequence[str]) -> dict[str, Ledger]:
        """Return everything these leads ever said."""
        ledgers = {lead_id: Ledger([]) for lead_id in lead_ids}
        if not ledgers:
            return ledgers
        for row in await self._sql.fetch(
            "SELECT *, lead_id::text AS lead_id FROM consent_event WHERE lead_id = ANY($1::uuid[])", list(ledgers)
        ):
            ledgers[row["lead_id"]].rows.append(ledger_row(dict(row)))
        return ledgers

    async def suppress(self, rows: Sequence[tuple[bytes, Sequence[str], str]], now: datetime, actor: str) -> None:
        """Put (hash, channels, reason) on the list; channels of a known address are added to."""
        if not rows:
            return
        await self._sql.execute(_LOCK, _ADDRESS_SPACE, sorted({_address_key(digest) for digest, _, _ in rows}))
        by_hash: dict[bytes, tuple[set[str], str]] = {}
        for address_hash, channels, reason in rows:
            by_hash.setdefault(address_hash, (set(), reason))[0].update(channels)
        await self._sql.execute(
            _SUPPRESS,
            list(by_hash),
            [" ".join(sorted(channels)) for channels, _ in by_hash.values()],
            [reason for _, reason in by_hash.values()],
            now,
            actor,
        )

    async def release(self, address_hash: bytes) -> bool:
        """Take an address off the list; return whether it was on it."""
        tag = await self._sql.execute("DELETE FROM suppression WHERE address_hash = $1", address_hash)
        return not tag.endswith(" 0")

    async def list_suppressed(self, *, after: tuple[datetime, bytes] | None, limit: int) -> list[Record]:
        """Return the list, oldest first."""
        statement = select(suppression).order_by(suppression.c.added_at, suppression.c.address_hash).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(suppression.c.added_at, suppression.c.address_hash) > after)
        return await self._sql.select(statement)

    async def count_suppressed(self) -> int:
        """Return how many addresses are on the list."""
        count: int = await self._sql.fetchval("SELECT count(*) FROM suppression")
        return count

    async def list_events(self, lead_id: str, limit: int, *, at: datetime | None = None) -> list[Record]:
        """Return a lead's ledger, newest first; with *at*, what had been said by then."""
        statement = (
            select(consent_event)
            .where(consent_event.c.lead_id == lead_id)
            .order_by(consent_event.c.happened_at.desc(), consent_event.c.known_at.desc(), consent_event.c.record_id)
            .limit(limit)
        )
        if at is not None:
            statement = statement.where(consent_event.c.happened_at <= at)
        return await self._sql.select(statement)

    async def find_latest_decision(self, lead_id: str, *, at: datetime | None = None) -> LeadDecision | None:
        """Return the last decision about a lead, with its inputs; with *at*, the last one by then."""
        packed = await self._sql.fetchval(
            "SELECT decision FROM consent_decision WHERE lead_id = $1 AND ($2::timestamptz IS NULL OR decided_at <= $2)"
            " ORDER BY decision_id DESC LIMIT 1",
            lead_id,
            at,
        )
        return _DECISION.decode(packed) if packed else None

    async def find_event(self, lead_id: str, record_id: str) -> LedgerRow | None:
        """Return a row of the ledger."""
        row = await self._sql.fetchrow(
            "SELECT *, lead_id::text AS lead_id FROM consent_event WHERE lead_id = $1 AND record_id = $2",
            lead_id,
            record_id,
        )
        return ledger_row(dict(row)) if row is not None else None


def _lock_key(lead_id: str) -> int:
    """Return a signed 32-bit number from the random end of a UUID. Leads that share one only wait for each other."""
    return int(lead_id[-8:], 16) - (1 << 31)


def _address_key(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "big", signed=True)
