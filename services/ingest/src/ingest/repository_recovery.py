"""What a restored database must be told again of records that were announced: their rows, counters and identities."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from shared.contracts import DeliveryKey
from shared.db import Sql

_SAVE_RECORDS = """
    WITH
    -- a conflict is a record that the database remembers: only one that it still has in quarantine went on
    learned AS (
        INSERT INTO record AS r (record_id, submission_id, ordinal, source_key, nature, state, lead_id, received_at,
                                 state_at)
        SELECT record_id, submission_id, 0, source_key, nature, state, lead_id, received_at, received_at
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::timestamptz[])
             AS rows(record_id, submission_id, source_key, nature, state, lead_id, received_at)
        ORDER BY record_id
        ON CONFLICT (record_id) DO UPDATE
            SET nature = EXCLUDED.nature, state = EXCLUDED.state, reason = NULL, lead_id = EXCLUDED.lead_id
            WHERE r.state = 'quarantined'
        RETURNING r.state, (r.xmax = 0) AS is_new
    ),
    counted AS (
        INSERT INTO ledger_delta (counter, n)
        SELECT counter, sum(n) FROM (
            SELECT state AS counter, 1 AS n FROM learned
            UNION ALL SELECT 'accepted', 1 FROM learned WHERE is_new
            UNION ALL SELECT 'quarantined', -1 FROM learned WHERE NOT is_new
        ) moves GROUP BY counter
    )
    SELECT count(*) FROM learned
"""
_SAVE_IDENTITIES = """
    INSERT INTO identity (kind, value, lead_id, has_email)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::boolean[])
    ON CONFLICT DO NOTHING
"""
# Records of one delivery can come in several batches: each adds its own.
_SAVE_DELIVERIES = """
    INSERT INTO delivery AS d (source_key, key, submission_id, fingerprint, record_ids)
    SELECT source_key, key, submission_id, fingerprint, record_ids::uuid[]
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[], $5::text[])
         AS rows(source_key, key, submission_id, fingerprint, record_ids)
    ON CONFLICT (source_key, key) DO UPDATE
        SET record_ids = (SELECT array_agg(DISTINCT id ORDER BY id) FROM unnest(d.record_ids || EXCLUDED.record_ids) id)
        WHERE d.submission_id = EXCLUDED.submission_id
"""
_CLAIM = "UPDATE identity SET has_email = TRUE WHERE lead_id = ANY($1::uuid[]) AND NOT has_email"


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A record as its event describes it, with the folded keys of its person where the event tells them."""

    record_id: str
    submission_id: str
    source_key: str
    nature: str
    state: str
    lead_id: str
    received_at: datetime
    email: str | None = None
    phone: str | None = None
    delivery_keys: tuple[DeliveryKey, ...] = ()


class RecoveryRepository:
    """Statements of the recovery."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def save(self, records: Sequence[Announced]) -> None:
        """Insert what is missing; what is there stays as it is."""
        await self._sql.execute(
            _SAVE_RECORDS,
            [record.record_id for record in records],
            [record.submission_id for record in records],
            [record.source_key for record in records],
            [record.nature for record in records],
            [record.state for record in records],
            [record.lead_id for record in records],
            [record.received_at for record in records],
        )
        await self._save_identities(records)
        await self._save_deliveries(records)

    async def _save_identities(self, records: Sequence[Announced]) -> None:
        keys: dict[tuple[str, str], tuple[str, bool]] = {}
        for record in records:
            for kind, value in (("email", record.email), ("phone", record.phone)):
                if value is not None:
                    keys.setdefault((kind, value), (record.lead_id, record.email is not None))
        rows = sorted(keys.items())
        await self._sql.execute(
            _SAVE_IDENTITIES,
            [kind for (kind, _), _ in rows],
            [value for (_, value), _ in rows],
            [lead_id for _, (lead_id, _) in rows],
            [has_email for _, (_, has_email) in rows],
        )
        # A phone speaks for a lead only as long as no e-mail does.
        await self._sql.execute(_CLAIM, sorted({record.lead_id for record in records if record.email is not None}))

    async def _save_deliveries(self, records: Sequence[Announced]) -> None:
        own: dict[tuple[str, str], tuple[str, bytes, list[str]]] = {}
        for record in records:
            for known in record.delivery_keys:
                row = own.setdefault(
                    (record.source_key, known.key), (record.submission_id, bytes.fromhex(known.fingerprint), [])
                )
                row[2].append(record.record_id)
        rows = sorted(own.items())
        await self._sql.execute(
            _SAVE_DELIVERIES,
            [source_key for (source_key, _), _ in rows],
            [key for (_, key), _ in rows],
            [submission_id for _, (submission_id, _, _) in rows],
            [fingerprint for _, (_, fingerprint, _) in rows],
            ["{" + ",".join(record_ids) + "}" for _, (_, _, record_ids) in rows],
        )
