"""Records that wait for a person."""

from sqlalchemy import select

from ingest.tables import RECORD, SUBMISSION
from shared.db import Record, Sql

_FIND = """
    SELECT record_id::text, submission_id::text, ordinal, source_key, state, reason
    FROM record WHERE record_id = $1::uuid
"""
_ADD_RECORD_IDS = "UPDATE submission SET record_ids = record_ids || $2::uuid[] WHERE submission_id = $1::uuid"
# Keys of deliveries that no sender will repeat any more. The id tells the age, so no column has to.
_FORGET_DELIVERIES = "DELETE FROM delivery WHERE submission_id < $1::uuid"


class QuarantineRepository:
    """Statements on quarantined records."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def list_quarantined(
        self, *, reason: str | None, source_key: str | None, after: str | None, limit: int
    ) -> list[Record]:
        """Return quarantined records, oldest first, with their raw submission (null once its retention has ended)."""
        columns = (
            RECORD.c.record_id, RECORD.c.submission_id, RECORD.c.source_key, RECORD.c.reason, RECORD.c.received_at,
            SUBMISSION.c.body, SUBMISSION.c.headers,
        )  # fmt: skip
        statement = (
            select(*columns)
            .select_from(RECORD.outerjoin(SUBMISSION, SUBMISSION.c.submission_id == RECORD.c.submission_id))
            .where(RECORD.c.state == "quarantined")
            .order_by(RECORD.c.record_id)
            .limit(limit)
        )
        if reason is not None:
            statement = statement.where(RECORD.c.reason == reason)
        if source_key is not None:
            statement = statement.where(RECORD.c.source_key == source_key)
        if after is not None:
            statement = statement.where(RECORD.c.record_id > after)
        return await self._sql.select(statement)

    async def find_record(self, record_id: str) -> Record | None:
        return await self._sql.fetchrow(_FIND, record_id)

    async def add_record_ids(self, submission_id: str, record_ids: list[str]) -> None:
        """Add records that a replay found in a submission beside the first mapping's."""
        await self._sql.execute(_ADD_RECORD_IDS, submission_id, record_ids)

    async def forget_deliveries(self, first_kept_id: str) -> None:
        """Drop the keys of deliveries made before *first_kept_id* (a submission id)."""
        await self._sql.execute(_FORGET_DELIVERIES, first_kept_id)
