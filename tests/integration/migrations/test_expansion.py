"""The check that a revision only expands finds what it must find: planted changes, each rolled back again."""

from collections.abc import Callable

import pytest

from local_stack.blocking import run_blocking
from shared.migrations import migrate
from shared.provision import provision_database
from shared.testing.harness import SECRET_KEY

from .conftest import SUBJECTS, Place
from .schema import describe, find_breaks


@pytest.fixture(scope="module")
def scoring(create_database: Callable[..., str]) -> Place:
    """Provide scoring's schema at its newest revision."""
    place = Place(SUBJECTS["scoring"], create_database())
    run_blocking(provision_database(place.url, SECRET_KEY, ["scoring"]))
    migrate("scoring", place.own_url)
    return place


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ("DROP TABLE activity", "activity is gone"),
        ("ALTER TABLE activity RENAME TO activities", "activity is gone"),
        ("ALTER TABLE activity DROP COLUMN detail", "activity.detail is gone"),
        ("ALTER TABLE activity RENAME COLUMN detail TO details", "activity.detail is gone"),
        ("ALTER TABLE lead_score ALTER COLUMN trigger TYPE varchar(9)", "lead_score.trigger was"),
        ("ALTER TABLE activity ALTER COLUMN detail SET NOT NULL", "activity.detail was"),
        ("ALTER TABLE outbox ALTER COLUMN key DROP NOT NULL", "outbox.key was"),
        ("ALTER TABLE timer ALTER COLUMN attempts DROP DEFAULT", "timer.attempts was"),
        ("ALTER TABLE activity ADD COLUMN weight integer NOT NULL", "activity.weight is new and must be given"),
        ("ALTER TABLE activity ADD CHECK (kind <> '')", "activity has a new rule for old columns: CHECK"),
        ("ALTER TABLE outbox ADD UNIQUE (key)", "outbox has a new rule for old columns: UNIQUE"),
        ("CREATE UNIQUE INDEX ON outbox (key)", "outbox has a new rule for old columns: btree"),
        ("ALTER TABLE outbox ADD FOREIGN KEY (id) REFERENCES audit", "outbox has a new rule for old columns: FOREIGN"),
        ("ALTER TABLE parked DROP CONSTRAINT parked_consumer_event_id_key", "parked has lost: UNIQUE"),
        ("ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey", "idempotency has lost: PRIMARY KEY"),
        (
            "CREATE TRIGGER no_more BEFORE INSERT ON outbox EXECUTE FUNCTION refuse_change()",
            "outbox has another trigger",
        ),
    ],
)
async def test_change_that_old_code_would_stumble_over_is_found(scoring: Place, change: str, finding: str) -> None:
    assert any(found.startswith(finding) for found in await breaks_of(scoring, change))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE activity ADD COLUMN note text",
        "ALTER TABLE activity ADD COLUMN weight integer NOT NULL DEFAULT 1",
        "ALTER TABLE activity ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE activity ADD COLUMN weight integer CHECK (weight > 0)",
        "CREATE INDEX ON activity (known_at)",
        "CREATE TABLE later (id uuid PRIMARY KEY, name text NOT NULL UNIQUE)",
    ],
)
async def test_change_that_only_adds_is_no_finding(scoring: Place, change: str) -> None:
    assert await breaks_of(scoring, change) == []


async def breaks_of(place: Place, change: str) -> list[str]:
    async with place.connected() as connection:
        before = await describe(connection, place.subject.schema)
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(change)
            return find_breaks(before, await describe(connection, place.subject.schema))
        finally:
            await transaction.rollback()
