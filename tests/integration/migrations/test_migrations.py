"""Migrations run before code, on a database at work, and only ever add: code of the revision before goes on."""

import asyncio
import os
import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory

from shared.db import ConnectionSql
from shared.migrations import _config, take_back
from shared.schema_version import SchemaTooOld, check_schema, newest_revision
from shared.testing.harness import SECRET_KEY

from .conftest import SUBJECTS, Place, Provide, copy_rows, read_rows, work
from .schema import describe, find_breaks


def revisions_of(name: str) -> list[str]:
    return sorted(script.revision for script in ScriptDirectory.from_config(_config(name)).walk_revisions())


LATEST = [pytest.param(name, *revisions_of(name)[-2:], id=name) for name in SUBJECTS]
EVERY_SERVICE = pytest.mark.parametrize("name", SUBJECTS)


@pytest.mark.parametrize(("name", "old", "new"), LATEST)
async def test_newer_revision_only_expands_and_keeps_every_row(
    provide_newest: Provide, worked_database: str, name: str, old: str, new: str
) -> None:
    place = await work(name, worked_database)
    await place.downgrade(old)
    async with place.connected() as connection:
        before = await describe(connection, place.subject.schema)
    rows = await read_rows(place, before.columns)
    assert rows["inbox"], "the tables hold no work, so nothing would be proved"

    await place.upgrade(new)

    async with place.connected() as connection:
        after = await describe(connection, place.subject.schema)
    assert find_breaks(before, after) == []
    assert await read_rows(place, before.columns) == rows

    # What code of the old revision writes: its columns, none of the new ones; and it reads the same back.
    empty = await asyncio.to_thread(provide_newest, name)
    await copy_rows(place, empty, before.columns)
    assert await read_rows(empty, before.columns) == rows


@EVERY_SERVICE
async def test_newest_revision_can_be_taken_back_and_made_again(provide_newest: Provide, name: str) -> None:
    place = await asyncio.to_thread(provide_newest, name)
    *_, before, newest = revisions_of(name)
    async with place.connected() as connection:
        described = await describe(connection, place.subject.schema)
    await place.downgrade(before)
    await place.upgrade(newest)
    async with place.connected() as connection:
        assert await describe(connection, place.subject.schema) == described


@EVERY_SERVICE
def test_revisions_are_numbered_in_one_line(name: str) -> None:
    numbers = revisions_of(name)
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert newest_revision(SUBJECTS[name].schema) == numbers[-1]


@EVERY_SERVICE
async def test_schema_must_be_as_new_as_the_code_and_may_be_newer(provide: Provide, name: str) -> None:
    place = provide(name)
    *_, before, newest = revisions_of(name)
    with pytest.raises(SchemaTooOld, match="not migrated at all"):
        await check(place)
    await place.upgrade(before)
    with pytest.raises(SchemaTooOld, match=f"at revision {before} and this release needs {newest}"):
        await check(place)
    await place.upgrade()
    await check(place)
    async with place.connected() as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await check(place)


async def check(place: Place) -> None:
    async with place.connected() as connection:
        await check_schema(ConnectionSql(connection), place.subject.schema)


def test_service_that_is_newer_than_its_schema_says_so_in_one_sentence_and_ends(provide_newest: Provide) -> None:
    place = provide_newest("scoring")
    *_, before, newest = revisions_of("scoring")
    take_back("scoring", place.own_url, before)
    ended = subprocess.run(
        [sys.executable, "-m", "scoring"],
        env={
            **os.environ,
            "SCORING_DATABASE_URL": place.own_url,
            "LEADRAIL_SECRET_KEY": SECRET_KEY,
            "SCORING_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"The schema scoring is at revision {before} and this release needs {newest}:"
        " run `leadrail db migrate`, then start again."
    )
