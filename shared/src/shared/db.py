"""Postgres: one pool per process, statements without a way to commit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect

Record = asyncpg.Record

# Longer than any transaction of ours. Tasks that hold a connection and want a second one would otherwise wait for each
# other for ever; as a timeout it is a dependency that is busy, and they let go.
ACQUIRE_SECONDS = 30.0
CLOSE_SECONDS = 3.0

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]


class Sql(Protocol):
    """Statements inside the transaction that somebody else opened and will end. Arguments are ``$1``-style."""

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """Return all rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        """Return the first row, or None."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        ...

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement; return its command tag (``INSERT 0 12``)."""
        ...

    async def select(self, statement: Select[Any]) -> list[Record]:
        """Run a SQLAlchemy Core select (API queries with optional filters); return all rows."""
        ...


class ConnectionSql:
    """`Sql` on one asyncpg connection."""

    __slots__ = ("_connection", "execute", "fetch", "fetchrow", "fetchval")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.fetch = connection.fetch
        self.fetchrow = connection.fetchrow
        self.fetchval = connection.fetchval
        self.execute = connection.execute

    async def select(self, statement: Select[Any]) -> list[Record]:
        """Compile for asyncpg (bind parameters only) and run."""
        query, args = compile_select(statement)
        rows: list[Record] = await self._connection.fetch(query, *args)
        return rows


def compile_select(statement: Select[Any]) -> tuple[str, Sequence[Any]]:
    """Return SQL text with ``$n`` placeholders and its arguments."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = compiled.positiontup or ()
    return str(compiled), [compiled.params[name] for name in names]


class Database:
    """A pool of connections of one role, with the service's schema as search path."""

    def __init__(
        self, url: str, *, schema: str, application_name: str, size: int = 8, statement_seconds: float = 60
    ) -> None:
        self._url = plain_url(url)
        self.schema = schema
        self._application_name = application_name
        self._size = size
        self._statement_seconds = statement_seconds
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connect. Errors: those of asyncpg when the server is away or refuses the role."""
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=self._size,
            command_timeout=self._statement_seconds,
            reset=_reset,
            server_settings=self._server_settings(),
        )

    async def close(self) -> None:
        """Close every connection."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
            except TimeoutError:  # a server that hangs gives no connection back
                pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Sql]:
        """Lend a connection outside any transaction: each statement is its own."""
        async with self._opened.acquire(timeout=ACQUIRE_SECONDS) as connection:
            yield ConnectionSql(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Sql]:
        """Lend a connection inside a transaction that commits on clean exit and rolls back on an exception."""
        async with self._opened.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
            yield ConnectionSql(connection)

    async def dedicated(self) -> "asyncpg.Connection":
        """Return a connection outside the pool; the caller closes it. For session locks."""
        return await asyncpg.connect(self._url, command_timeout=10, server_settings=self._server_settings())

    @property
    def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            message = "the database pool is not open"
            raise RuntimeError(message)
        return self._pool

    def _server_settings(self) -> dict[str, str]:
        return {
            "search_path": f"{self.schema},public",
            "application_name": self._application_name,
            "jit": "off",  # set-based statements on small sets: compiling costs more than it saves
            # Hot tables are in memory. At the default of 4 a batch of 200 keys is planned as a scan of the whole table.
            "random_page_cost": "1.1",
            # A process that freezes inside a transaction holds its timers and its events' inbox keys: nobody else gets
            # them until it wakes, which may be never. Our own pauses between two statements are below a second.
            "idle_in_transaction_session_timeout": "10s",
        }


async def _reset(connection: "asyncpg.Connection") -> None:
    """Clean a connection that comes back, only if there is something to clean.

    asyncpg's own reset is one more round trip per transaction. We set nothing on a session and lock only within
    transactions, so what can be left is an open transaction, of a task that was cancelled at a bad moment.
    """
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


def plain_url(url: str) -> str:
    """Return *url* without a SQLAlchemy driver suffix."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.split('+', maxsplit=1)[0]}{separator}{rest}"
