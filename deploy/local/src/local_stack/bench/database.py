"""What PostgreSQL counts: statements, transactions, bytes of write-ahead log."""

import asyncpg
import msgspec

_COUNTS = """
    SELECT
        (SELECT sum(xact_commit) FROM pg_stat_database)::bigint AS transactions,
        pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal_bytes
"""
# BEGIN and COMMIT are transactions, not statements; what this connection asks is nobody's load.
_STATEMENTS = """
    SELECT sum(calls)::bigint FROM pg_stat_statements(false)
    WHERE toplevel AND queryid NOT IN (
        SELECT queryid FROM pg_stat_statements WHERE query ~* '^(begin|commit|rollback|start transaction)'
    )
"""
_COSTLIEST = """
    SELECT r.rolname AS role, s.calls, s.rows, s.total_exec_time AS milliseconds,
        regexp_replace(s.query, '\\s+', ' ', 'g') AS query
    FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
    ORDER BY s.total_exec_time DESC LIMIT $1
"""


class Counts(msgspec.Struct, frozen=True):
    """Totals since the server started. ``statements`` is None on a server that does not count them."""

    transactions: int
    wal_bytes: int
    statements: int | None

    def since(self, before: "Counts") -> "Counts":
        """Return what came after *before*."""
        statements = None
        if self.statements is not None and before.statements is not None:
            statements = self.statements - before.statements
        return Counts(self.transactions - before.transactions, self.wal_bytes - before.wal_bytes, statements)


class Statement(msgspec.Struct, frozen=True):
    """One statement over a run. ``milliseconds``: time in the executor, all calls together."""

    role: str
    calls: int
    rows: int
    milliseconds: float
    query: str


class Counter:
    """Reads the counters over one connection of the superuser."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", *, counts_statements: bool) -> None:
        self._connection = connection
        self._counts_statements = counts_statements

    @classmethod
    async def open(cls, url: str) -> "Counter":
        """Connect, and find out whether the server counts statements."""
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            await connection.fetchval(_STATEMENTS)
        except asyncpg.PostgresError:
            return cls(connection, counts_statements=False)
        return cls(connection, counts_statements=True)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    async def read(self) -> Counts:
        """Return the totals. The statistics of other sessions are at most a second old."""
        row = await self._connection.fetchrow(_COUNTS)
        assert row is not None
        statements = await self._connection.fetchval(_STATEMENTS) if self._counts_statements else None
        return Counts(row["transactions"], row["wal_bytes"], statements)

    async def forget_statements(self) -> None:
        """Start the costliest statements anew."""
        if self._counts_statements:
            await self._connection.execute("SELECT pg_stat_statements_reset()")

    async def costliest(self, most: int) -> list[Statement]:
        """Return the statements that took longest since they were forgotten."""
        if not self._counts_statements:
            return []
        return [Statement(**row) for row in await self._connection.fetch(_COSTLIEST, most)]

    async def describe(self) -> str:
        """Return the server's version."""
        version: str = await self._connection.fetchval("SHOW server_version")
        return version


async def let_it_count_statements(database_url: str) -> None:
    """Make the server load pg_stat_statements at its next start (1 to 2 µs per statement, a few hundred a second)."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    finally:
        await connection.close()
