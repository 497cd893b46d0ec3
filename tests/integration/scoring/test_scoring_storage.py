"""The tables are what the code believes, history cannot be rewritten, and the hot queries have an index."""

import asyncpg
import pytest

from scoring.accounts import _DEEDS, _MEMBERS
from scoring.repository import _ADD_AND_LOAD, _DECISION_AT, _LOAD, _PROFILE_AT
from scoring.tables import METADATA
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_enriched

NO_ACTIVITIES: tuple[list[str], ...] = ([], [], [], [], [], [])


@pytest.mark.parametrize("table", METADATA.tables)
async def test_the_tables_are_as_the_code_describes_them(scoring: ServiceHarness, table: str) -> None:
    rows = await scoring.fetch(
        "SELECT column_name, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'scoring' AND table_name = $1",
        table,
    )
    described = {column.name: column.nullable for column in METADATA.tables[table].columns}
    assert {row["column_name"]: row["is_nullable"] == "YES" for row in rows} == described


@pytest.mark.parametrize(
    "statement", ["UPDATE score_decision SET points = 100", "UPDATE activity SET kind = 'demo_request'"]
)
async def test_history_cannot_be_rewritten(scoring: ServiceHarness, statement: str) -> None:
    lead_id = new_id()
    await scoring.feed(make_enriched(lead_id))
    await scoring.feed(make_activity(lead_id))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await scoring.fetch(statement)


@pytest.mark.parametrize(
    ("query", "args", "index"),
    [
        (_LOAD, ([new_id()], 1000, None), "activity_pkey"),
        (_LOAD, ([new_id()], 1000, None), "lead_score_pkey"),
        (_LOAD, ([new_id()], 1000, None), "score_decision_pkey"),
        (_ADD_AND_LOAD, ([new_id()], 1000, None, *NO_ACTIVITIES), "activity_pkey"),
        (_ADD_AND_LOAD, ([new_id()], 1000, None, *NO_ACTIVITIES), "lead_score_pkey"),
        (_DEEDS, ([new_id()], ["demo_request"], 100, 200, None), "lead_account_by_account"),
        (_DEEDS, ([new_id()], ["demo_request"], 100, 200, NOON), "activity_pkey"),
        (_MEMBERS, ([new_id()], ["A", "B"], 100), "lead_account_by_account"),
        (_MEMBERS, ([new_id()], ["A", "B"], 100), "lead_score_pkey"),
        (_DECISION_AT, (new_id(), NOON), "score_decision_pkey"),
        (_PROFILE_AT, (new_id(), NOON), "score_decision_pkey"),
        (
            "SELECT FROM lead_score WHERE (points, lead_id) < ($1, $2) ORDER BY points DESC, lead_id DESC LIMIT 9",
            (50.0, new_id()),
            "lead_score_by_points",
        ),
    ],
)
async def test_every_hot_query_finds_its_rows_by_index(
    scoring: ServiceHarness, query: str, args: tuple[object, ...], index: str
) -> None:
    async with scoring.runtime.database.transaction() as sql:
        await sql.execute("SET LOCAL enable_seqscan = off")
        await sql.execute("SET LOCAL enable_sort = off")
        plan = await sql.fetch(f"EXPLAIN {query}", *args)
    assert index in "\n".join(row[0] for row in plan)
