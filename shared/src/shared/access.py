"""API keys: ``lr_<id>_<secret>``, only the hash of the secret kept, scoped, at most two active per client."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from shared.db import Sql

SCOPES = (
    "ingest:write",
    "leads:read",
    "routing:write",
    "consent:write",
    "config:plan",
    "config:apply",
    "privacy:erase",
    "ops:replay",
    "admin",
)
ACTIVE_KEYS_PER_CLIENT = 2
LAST_USED_EVERY = timedelta(minutes=1)
_ID_BYTES = 8
_SECRET_BYTES = 24  # 192 bits
_NOBODY = hashlib.sha256(b"nobody").digest()

_COUNT_ACTIVE = """
    SELECT count(*) FROM access.api_key
    WHERE client = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""


class TooManyKeys(ValueError):
    """The client has two active keys already: revoke one first."""


class UnknownScope(ValueError):
    """A scope that does not exist."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and what they may do. ``admin`` may do everything."""

    client_id: str
    key_id: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether this principal holds *scope*."""
        return scope in self.scopes or "admin" in self.scopes


async def create_key(
    sql: Sql, *, client: str, scopes: Sequence[str], now: datetime, expires_at: datetime | None = None
) -> str:
    """Store a new key for *client*; return its text, which cannot be shown again.

    Errors: `TooManyKeys`, `UnknownScope`.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        message = f"unknown scope {', '.join(unknown) or '(none given)'}; known: {', '.join(SCOPES)}"
        raise UnknownScope(message)
    await sql.execute("SELECT pg_advisory_xact_lock(hashtextextended('api_key/' || $1, 0))", client)
    active = await sql.fetchval(_COUNT_ACTIVE, client, now)
    if active >= ACTIVE_KEYS_PER_CLIENT:
        message = f"client {client} has {active} active keys; revoke one first"
        raise TooManyKeys(message)
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    await sql.execute(
        "INSERT INTO access.api_key (key_id, client, secret_sha256, scopes, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        key_id,
        client,
        hashlib.sha256(secret.encode()).digest(),
        sorted(set(scopes)),
        now,
        expires_at,
    )
    await _audit(sql, now, "key.created", key_id, client)
    return f"lr_{key_id}_{secret}"


async def revoke_key(sql: Sql, *, key_id: str, now: datetime) -> bool:
    """Revoke a key, effective with the next request; return whether it was active."""
    client = await sql.fetchval(
        "UPDATE access.api_key SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL RETURNING client",
        key_id,
        now,
    )
    if client is None:
        return False
    await _audit(sql, now, "key.revoked", key_id, client)
    return True


async def find_principal(sql: Sql, key: str, now: datetime) -> Principal | None:
    """Return who *key* belongs to, or None. The secret is compared even for an unknown id: no oracle by time."""
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if not (key_id.isascii() and key_id.isalnum()):
        return None  # not the shape of a key; Postgres would refuse a NUL in it
    row = await sql.fetchrow(
        "SELECT client, secret_sha256, scopes, last_used_at FROM access.api_key"
        " WHERE key_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        key_id,
        now,
    )
    expected = row["secret_sha256"] if row is not None else _NOBODY
    is_right = compare_digest(hashlib.sha256(secret.encode()).digest(), expected)
    if row is None or not is_right or prefix != "lr":
        return None
    if row["last_used_at"] is None or now - row["last_used_at"] > LAST_USED_EVERY:
        await sql.execute("UPDATE access.api_key SET last_used_at = $2 WHERE key_id = $1", key_id, now)
    return Principal(row["client"], key_id, frozenset(row["scopes"]))


async def _audit(sql: Sql, now: datetime, action: str, key_id: str, client: str) -> None:
    await sql.execute(
        "INSERT INTO access.audit (at, actor, action, subject, detail) VALUES ($1, session_user, $2, $3, $4)",
        now,
        action,
        key_id,
        client,
    )
