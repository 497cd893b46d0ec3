"""Leads as merged and enriched, and what is known of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ingest.domain.merge import KnownLead
from shared.contracts import Facts, Lead
from shared.db import Record, Sql

_FIND_LEADS = "SELECT lead_id::text AS lead_id, fields, latest_at FROM lead WHERE lead_id = ANY($1::uuid[])"
_SAVE_LEADS = """
    INSERT INTO lead (lead_id, fields, facts, latest_at, enriched_at)
    SELECT *, $5::timestamptz FROM unnest($1::uuid[], $2::json[], $3::json[], $4::timestamptz[])
    ON CONFLICT (lead_id) DO UPDATE
        SET fields = EXCLUDED.fields, facts = EXCLUDED.facts, latest_at = EXCLUDED.latest_at,
            enriched_at = EXCLUDED.enriched_at
"""
_FIND_LEAD = "SELECT fields, facts, latest_at, enriched_at FROM lead WHERE lead_id = $1::uuid"
_LIST_IDENTITIES = "SELECT kind, value FROM identity WHERE lead_id = $1::uuid ORDER BY kind, value"
_LIST_RECORDS = """
    SELECT record_id::text, submission_id::text, source_key, nature, state, reason, received_at, state_at
    FROM record WHERE lead_id = $1::uuid ORDER BY record_id DESC LIMIT $2
"""
_FIND_SUBMISSION = """
    SELECT submission_id::text, source_key, source_kind, received_at, headers, body, record_ids::text[] AS record_ids
    FROM submission WHERE submission_id = $1::uuid
"""
_LIST_RECORDS_OF = """
    SELECT record_id::text, ordinal, nature, state, reason, lead_id::text, received_at, state_at, source_key
    FROM record WHERE record_id = ANY($1::uuid[]) ORDER BY ordinal, record_id
"""

_ENCODER = msgspec.json.Encoder()
_LEAD_DECODER = msgspec.json.Decoder(Lead)


class LeadRepository:
    """Leads, their identities, their records and submissions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def find_known(self, lead_ids: Collection[str]) -> dict[str, KnownLead]:
        rows = await self._sql.fetch(_FIND_LEADS, list(lead_ids))
        return {
            row["lead_id"]: KnownLead(lead=_LEAD_DECODER.decode(row["fields"]), latest_at=row["latest_at"])
            for row in rows
        }

    async def save(self, leads: Sequence[tuple[str, KnownLead, Facts]], now: datetime) -> None:
        ordered = sorted(leads, key=lambda item: item[0])  # one lock order for everybody
        await self._sql.execute(
            _SAVE_LEADS,
            [lead_id for lead_id, _, _ in ordered],
            [_ENCODER.encode(known.lead).decode() for _, known, _ in ordered],
            [_ENCODER.encode(facts).decode() for _, _, facts in ordered],
            [known.latest_at for _, known, _ in ordered],
            now,
        )

    async def find_lead(self, lead_id: str) -> Record | None:
        return await self._sql.fetchrow(_FIND_LEAD, lead_id)

    async def list_identities(self, lead_id: str) -> list[Record]:
        return await self._sql.fetch(_LIST_IDENTITIES, lead_id)

    async def list_records(self, lead_id: str, limit: int) -> list[Record]:
        return await self._sql.fetch(_LIST_RECORDS, lead_id, limit)

    async def find_submission(self, submission_id: str) -> Record | None:
        """Return the raw submission, None if there is none or its retention has ended."""
        return await self._sql.fetchrow(_FIND_SUBMISSION, submission_id)

    async def list_records_of(self, record_ids: Sequence[Any]) -> list[Record]:
        return await self._sql.fetch(_LIST_RECORDS_OF, record_ids)
