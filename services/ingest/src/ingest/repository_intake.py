"""What the door reads and writes: two reads and one statement of set-based writes per batch."""

from collections.abc import Iterable, Sequence

from ingest.domain.arrival import Arrival, DeliveryRow, Known, KnownDelivery, KnownIdentity, Plan, Result
from ingest.domain.records import ActivityRecord
from shared.db import Sql

_FIND_IDENTITIES = """
    SELECT i.kind, i.value, i.lead_id::text AS lead_id, i.has_email
    FROM unnest($1::text[], $2::text[]) AS asked(kind, value)
    JOIN identity i ON i.kind = asked.kind AND i.value = asked.value
"""
_FIND_DELIVERIES = """
    SELECT d.source_key, d.key, d.submission_id::text AS submission_id, d.fingerprint,
           r.record_id::text AS record_id, r.nature, r.lead_id::text AS lead_id
    FROM unnest($1::text[], $2::text[]) AS asked(source_key, key)
    JOIN delivery d ON d.source_key = asked.source_key AND d.key = asked.key
    CROSS JOIN LATERAL unnest(d.record_ids) WITH ORDINALITY AS own(record_id, position)
    LEFT JOIN record r ON r.record_id = own.record_id
    ORDER BY d.source_key, d.key, own.position
"""
_FIND_LEADS = "SELECT DISTINCT lead_id::text AS lead_id FROM identity WHERE lead_id = ANY($1::uuid[])"
_FIND_QUARANTINED = (
    "SELECT record_id::text AS id FROM record WHERE record_id = ANY($1::uuid[]) AND state = 'quarantined'"
)
_SAVE_PLAN = """
    WITH
    -- the raw bytes, before anybody understood them
    new_submission AS (
        INSERT INTO submission (submission_id, source_key, source_kind, received_at, headers, body, record_ids)
        SELECT id, source_key, source_kind, received_at, headers, body, record_ids::uuid[]
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::json[], $6::bytea[], $7::text[])
             AS rows(id, source_key, source_kind, received_at, headers, body, record_ids)
    ),
    -- fewer rows than asked for: somebody else took a key since we read
    new_identity AS (
        INSERT INTO identity (kind, value, lead_id, has_email)
        SELECT * FROM unnest($8::text[], $9::text[], $10::uuid[], $11::boolean[])
        ON CONFLICT DO NOTHING RETURNING 1
    ),
    -- leads that get their first e-mail; none left to change: somebody else gave them one since we read
    claimed AS (
        UPDATE identity SET has_email = TRUE
        WHERE lead_id = ANY($12::uuid[]) AND NOT has_email RETURNING lead_id
    ),
    new_delivery AS (
        INSERT INTO delivery (source_key, key, submission_id, fingerprint, record_ids)
        SELECT source_key, key, id, fingerprint, record_ids::uuid[]
        FROM unnest($13::text[], $14::text[], $15::uuid[], $16::bytea[], $17::text[])
             AS rows(source_key, key, id, fingerprint, record_ids)
        ON CONFLICT DO NOTHING RETURNING 1
    ),
    -- a conflict is a replay: only a record still in quarantine may change, so nothing replays twice
    new_record AS (
        INSERT INTO record AS r (record_id, submission_id, ordinal, source_key, nature, state, reason, lead_id,
                                 received_at, state_at)
        SELECT *, received_at
        FROM unnest($18::uuid[], $19::uuid[], $20::smallint[], $21::text[], $22::text[], $23::text[], $24::text[],
                    $25::uuid[], $26::timestamptz[])
             AS rows(record_id, submission_id, ordinal, source_key, nature, state, reason, lead_id, received_at)
        ON CONFLICT (record_id) DO UPDATE
            SET nature = EXCLUDED.nature, state = EXCLUDED.state, reason = EXCLUDED.reason, lead_id = EXCLUDED.lead_id
            WHERE r.state = 'quarantined'
        RETURNING 1
    ),
    counted AS (
        INSERT INTO ledger_delta (counter, n) SELECT * FROM unnest($27::text[], $28::integer[])
    )
    SELECT (SELECT count(*) FROM new_identity) AS identities,
           (SELECT count(DISTINCT lead_id) FROM claimed) AS claimed,
           (SELECT count(*) FROM new_delivery) AS deliveries,
           (SELECT count(*) FROM new_record) AS records
"""


class IntakeRepository:
    """Statements of the door's transaction."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def load_known(self, arrivals: Sequence[Arrival]) -> Known:
        """Return what is known of the identities, deliveries and leads that *arrivals* mention."""
        keys = sorted(
            {
                (kind, value)
                for arrival in arrivals
                for numbered in arrival.records
                for kind, value in (
                    ("email", numbered.email), ("phone", numbered.phone), ("external", numbered.external),
                )
                if value is not None
            }
        )  # fmt: skip
        identities = {}
        if keys:
            rows = await self._sql.fetch(_FIND_IDENTITIES, [kind for kind, _ in keys], [value for _, value in keys])
            identities = {
                (row["kind"], row["value"]): KnownIdentity(lead_id=row["lead_id"], has_email=row["has_email"])
                for row in rows
            }
        return Known(
            identities=identities,
            deliveries=await self._find_deliveries(arrivals),
            lead_ids=await self._find_leads(arrivals),
            quarantined_ids=await self._find_quarantined(arrivals),
        )

    async def save_plan(self, plan: Plan) -> bool:
        """Write *plan*; return False if somebody else was faster somewhere: then nothing of it may be committed."""
        if not plan.records:
            return True
        identities = sorted(plan.identities.items())  # one lock order for everybody: no deadlock between two batches
        row = await self._sql.fetchrow(
            _SAVE_PLAN,
            *_submission_columns(plan.submissions),
            [kind for (kind, _), _ in identities],
            [value for (_, value), _ in identities],
            [identity.lead_id for _, identity in identities],
            [identity.has_email for _, identity in identities],
            sorted(plan.claimed_lead_ids),
            *_delivery_columns(plan.deliveries),
            [record.record_id for record in plan.records],
            [record.submission_id for record in plan.records],
            [record.ordinal for record in plan.records],
            [record.source_key for record in plan.records],
            [record.nature for record in plan.records],
            [record.state for record in plan.records],
            [record.reason for record in plan.records],
            [record.lead_id for record in plan.records],
            [record.received_at for record in plan.records],
            list(plan.deltas),
            list(plan.deltas.values()),
        )
        assert row is not None
        return (row["identities"], row["claimed"], row["deliveries"], row["records"]) == (
            len(plan.identities),
            len(plan.claimed_lead_ids),
            len(plan.deliveries),
            len(plan.records),
        )

    async def _find_deliveries(self, arrivals: Sequence[Arrival]) -> dict[tuple[str, str], KnownDelivery]:
        keys = sorted({(arrival.source_key, key) for arrival in arrivals for key in _delivery_keys(arrival)})
        if not keys:
            return {}
        rows = await self._sql.fetch(_FIND_DELIVERIES, [source for source, _ in keys], [key for _, key in keys])
        found: dict[tuple[str, str], KnownDelivery] = {}
        for row in rows:
            key = (row["source_key"], row["key"])
            earlier = found.get(key)
            result = Result(record_id=row["record_id"], nature=row["nature"], lead_id=row["lead_id"])
            found[key] = KnownDelivery(
                submission_id=row["submission_id"],
                fingerprint=row["fingerprint"],
                results=(*(earlier.results if earlier else ()), result),
            )
        return found

    async def _find_leads(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        named = {
            numbered.record.lead_id
            for arrival in arrivals
            for numbered in arrival.records
            if isinstance(numbered.record, ActivityRecord) and numbered.record.lead_id is not None
        }
        if not named:
            return frozenset()
        return frozenset(row["lead_id"] for row in await self._sql.fetch(_FIND_LEADS, sorted(named)))

    async def _find_quarantined(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        replaced = sorted({record_id for arrival in arrivals for record_id in arrival.replaced})
        if not replaced:
            return frozenset()
        return frozenset(row["id"] for row in await self._sql.fetch(_FIND_QUARANTINED, replaced))


def _delivery_keys(arrival: Arrival) -> Iterable[str]:
    if arrival.idempotency_key is not None:
        yield arrival.idempotency_key
    for numbered in arrival.records:
        if numbered.record.dedupe_key is not None:
            yield numbered.record.dedupe_key


def _submission_columns(submissions: Sequence[tuple[Arrival, tuple[str, ...]]]) -> tuple[list[object], ...]:
    return (
        [arrival.submission_id for arrival, _ in submissions],
        [arrival.source_key for arrival, _ in submissions],
        [arrival.source_kind for arrival, _ in submissions],
        [arrival.received_at for arrival, _ in submissions],
        [arrival.headers for arrival, _ in submissions],
        [arrival.body for arrival, _ in submissions],
        [_array(record_ids) for _, record_ids in submissions],
    )


def _delivery_columns(deliveries: Sequence[DeliveryRow]) -> tuple[list[object], ...]:
    ordered = sorted(deliveries, key=lambda row: (row.source_key, row.key))
    return (
        [row.source_key for row in ordered],
        [row.key for row in ordered],
        [row.submission_id for row in ordered],
        [row.fingerprint for row in ordered],
        [_array(row.record_ids) for row in ordered],
    )


def _array(ids: Iterable[str]) -> str:
    return "{" + ",".join(ids) + "}"
