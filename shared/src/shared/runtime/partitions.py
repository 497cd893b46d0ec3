"""Day partitions: made ahead, dropped whole. Rows are never deleted one by one."""

from datetime import UTC, datetime, timedelta

from shared.db import Sql
from shared.ids import first_id_of

DAYS_AHEAD = 2


async def ensure_days(sql: Sql, table: str, days: set[datetime]) -> None:
    """Attach a partition to *table* (partitioned by a UUIDv7 column) for each of *days* (midnights, UTC)."""
    wanted = {f"{table}_{day:%Y%m%d}": day for day in days}
    rows = await sql.fetch(
        "SELECT relname FROM pg_class"
        " WHERE relname = ANY($1::text[]) AND relnamespace = current_schema()::regnamespace",
        list(wanted),
    )
    present = {row["relname"] for row in rows}
    for name, day in sorted(wanted.items()):
        if name not in present:
            await _attach(sql, table, name, day)


async def _attach(sql: Sql, table: str, name: str, day: datetime) -> None:
    low, high = first_id_of(day), first_id_of(day + timedelta(days=1))
    # Two processes may meet here; the lock makes the second one find the first one's partition.
    # CREATE LIKE + ATTACH instead of CREATE PARTITION OF: the latter locks out readers of the whole table.
    # No autovacuum: rows are inserted, found by their key and dropped with the table; reading all of it again to vacuum
    # and to sample it took a sixth of PostgreSQL's CPU.
    await sql.execute(
        f"""
        DO $do$ BEGIN
            PERFORM pg_advisory_xact_lock(hashtext('{name}'));
            IF to_regclass(current_schema() || '.{name}') IS NULL THEN
                CREATE TABLE {name} (LIKE {table} INCLUDING ALL) WITH (autovacuum_enabled = false);
                ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}');
            END IF;
        END $do$
        """
    )


async def drop_days_before(sql: Sql, table: str, oldest_kept: datetime) -> list[str]:
    """Drop the partitions of days before *oldest_kept*; return their names."""
    limit = f"{table}_{oldest_kept:%Y%m%d}"
    rows = await sql.fetch(
        """
        SELECT child.relname FROM pg_inherits
        JOIN pg_class child ON child.oid = inhrelid
        JOIN pg_class parent ON parent.oid = inhparent
        WHERE parent.relname = $1 AND parent.relnamespace = current_schema()::regnamespace AND child.relname < $2
        ORDER BY 1
        """,
        table,
        limit,
    )
    names = [row["relname"] for row in rows]
    for name in names:
        await sql.execute(f"DROP TABLE IF EXISTS {name}")  # another replica may have been faster
    return names


def day_of(instant: datetime) -> datetime:
    """Return the midnight (UTC) that starts the day of *instant*."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days_around(now: datetime) -> set[datetime]:
    """Return yesterday, today and the days ahead that must have a partition."""
    today = day_of(now)
    return {today + timedelta(days=offset) for offset in range(-1, DAYS_AHEAD + 1)}
