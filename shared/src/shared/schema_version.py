"""Is the schema what this release needs? Asked at every start, so without alembic: loading that takes a second."""

import importlib.resources
import importlib.util

from shared.db import Sql


class SchemaTooOld(Exception):
    """The schema lacks what this release needs: migrations run before code."""

    def __init__(self, schema: str, found: str | None, needed: str) -> None:
        at = f"at revision {found}" if found else "not migrated at all"
        super().__init__(
            f"The schema {schema} is {at} and this release needs {needed}: run `leadrail db migrate`, then start again."
        )


def newest_revision(schema: str) -> str | None:
    """Return the newest revision that the release has for *schema*; None if it has no migrations for it.

    Revisions are numbered (0001, 0002, …) in one line, and their files' names begin with the number.
    """
    if importlib.util.find_spec(schema) is None:
        return None
    versions = importlib.resources.files(schema) / "migrations" / "versions"
    return max((file.name[:4] for file in versions.iterdir() if file.name.endswith(".py")), default=None)


async def check_schema(sql: Sql, schema: str) -> None:
    """Make sure that *schema*, the search path of *sql*, has what this release needs. Errors: `SchemaTooOld`.

    One that is newer is fine, as in the middle of a rolling upgrade: until the old code is gone, migrations only add.
    """
    needed = newest_revision(schema)
    if needed is None:
        return
    is_migrated = await sql.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.alembic_version")
    found = await sql.fetchval("SELECT version_num FROM alembic_version") if is_migrated else None
    if found is None or found < needed:
        raise SchemaTooOld(schema, found, needed)
