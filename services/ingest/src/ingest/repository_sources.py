"""Configured sources, secrets sealed."""

from datetime import datetime
from typing import Any

import msgspec

from ingest.domain.source import SourceDefaults
from shared.db import Record, Sql

_COLUMNS = """
    source_key, kind, name, secrets, defaults, field_mapping, allowed_origins, honeypot_field, is_suspended, revision,
    created_at, updated_at
"""
_LIST = f"SELECT {_COLUMNS} FROM source WHERE source_key > $1 ORDER BY source_key LIMIT $2"  # noqa: S608 - our constant
_LOAD_ALL = f"SELECT {_COLUMNS} FROM source"  # noqa: S608 - our own constant
_FIND = f"SELECT {_COLUMNS} FROM source WHERE source_key = $1"  # noqa: S608 - our own constant
_LOCK = f"{_FIND} FOR UPDATE"
# A deleted source leaves no revision behind; the count tells.
_FINGERPRINT = "SELECT coalesce(max(revision), 0) AS revision, count(*) AS sources FROM source"
_INSERT = """
    INSERT INTO source (source_key, kind, name, secrets, defaults, field_mapping, allowed_origins, honeypot_field,
                        is_suspended, created_at, updated_at)
    VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6::jsonb, $7::text[], $8, $9, $10, $10)
    ON CONFLICT (source_key) DO NOTHING
"""
_UPDATE = """
    UPDATE source SET name = $2, secrets = $3::jsonb, defaults = $4::jsonb, field_mapping = $5::jsonb,
        allowed_origins = $6::text[], honeypot_field = $7, is_suspended = $8, updated_at = $9,
        revision = nextval('source_revision')
    WHERE source_key = $1
"""
_DELETE = "DELETE FROM source WHERE source_key = $1"


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One secret as stored. ``expires_at`` None: active until it is removed."""

    secret_id: str
    sealed: bytes
    created_at: datetime
    expires_at: datetime | None = None


class StoredSource(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    key: str
    kind: str
    name: str
    secrets: tuple[SealedSecret, ...]
    defaults: SourceDefaults
    field_mapping: dict[str, str]
    allowed_origins: tuple[str, ...]
    honeypot_field: str
    is_suspended: bool
    created_at: datetime
    updated_at: datetime
    revision: int = 0


class SourceRepository:
    """Statements on sources."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def fingerprint(self) -> tuple[int, int]:
        """Return what changes whenever any source does."""
        row = await self._sql.fetchrow(_FINGERPRINT)
        assert row is not None
        return row["revision"], row["sources"]

    async def load_all(self) -> list[StoredSource]:
        return [_stored(row) for row in await self._sql.fetch(_LOAD_ALL)]

    async def list_after(self, key: str, limit: int) -> list[StoredSource]:
        return [_stored(row) for row in await self._sql.fetch(_LIST, key, limit)]

    async def find(self, key: str, *, is_locked: bool = False) -> StoredSource | None:
        row = await self._sql.fetchrow(_LOCK if is_locked else _FIND, key)
        return _stored(row) if row is not None else None

    async def insert(self, source: StoredSource) -> bool:
        """Return False if the key is taken."""
        tag = await self._sql.execute(_INSERT, source.key, source.kind, *_values(source), source.created_at)
        return tag == "INSERT 0 1"

    async def update(self, source: StoredSource) -> None:
        await self._sql.execute(_UPDATE, source.key, *_values(source), source.updated_at)

    async def delete(self, key: str) -> None:
        await self._sql.execute(_DELETE, key)


def _values(source: StoredSource) -> tuple[Any, ...]:
    return (
        source.name,
        _json(source.secrets),
        _json(source.defaults),
        _json(source.field_mapping),
        list(source.allowed_origins),
        source.honeypot_field,
        source.is_suspended,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _stored(row: Record) -> StoredSource:
    return StoredSource(
        key=row["source_key"],
        kind=row["kind"],
        name=row["name"],
        secrets=msgspec.json.decode(row["secrets"], type=tuple[SealedSecret, ...]),
        defaults=msgspec.json.decode(row["defaults"], type=SourceDefaults),
        field_mapping=msgspec.json.decode(row["field_mapping"], type=dict[str, str]),
        allowed_origins=tuple(row["allowed_origins"]),
        honeypot_field=row["honeypot_field"],
        is_suspended=row["is_suspended"],
        revision=row["revision"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
