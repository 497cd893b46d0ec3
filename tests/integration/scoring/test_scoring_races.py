"""Two transactions that speak of one lead at once: the second sees what the first decided."""

import asyncio
from datetime import timedelta

from scoring.repository import ScoringRepository
from shared.contracts import LeadQualified, LeadScored
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_activity, make_enriched, make_lead


async def test_an_activity_and_the_first_submission_at_once_both_count(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(industry=None, employees=None)
    await asyncio.gather(
        scoring.feed(make_activity(lead_id)),
        scoring.feed(make_enriched(lead_id, lead=lead)),
    )
    (row,) = await scoring.fetch("SELECT points FROM lead_score WHERE lead_id = $1", lead_id)
    assert row["points"] == 52.0


async def test_a_batch_waits_for_whoever_decides_about_its_lead(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    async with scoring.runtime.work() as work:
        repo: ScoringRepository = work.repo
        await repo.lock_leads([lead_id])
        waiting = asyncio.ensure_future(scoring.feed(make_enriched(lead_id)))
        await until_someone_waits(scoring)
        assert not waiting.done()
    assert {type(event) for event in await waiting} == {LeadScored, LeadQualified}


async def test_a_timer_never_waits_for_a_lead_that_is_being_decided(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    lead = make_lead(industry=None, employees=None)
    await scoring.feed(make_enriched(lead_id, lead=lead, activities=("demo_request",)))
    scoring.clock.advance(days=14)
    async with scoring.runtime.work() as work:
        repo: ScoringRepository = work.repo
        await repo.lock_leads([lead_id])
        assert [event for event in await scoring.fire_due_timers() if event.lead_id == lead_id] == []
    scoring.clock.advance(seconds=timedelta(milliseconds=100).total_seconds())
    (event,) = [event for event in await scoring.fire_due_timers() if event.lead_id == lead_id]
    assert isinstance(event, LeadQualified)
    assert event.is_mql is False


async def until_someone_waits(scoring: ServiceHarness) -> None:
    """Return once a session waits for an advisory lock in this database."""
    for _ in range(2000):
        rows = await scoring.fetch(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        if rows:
            return
    message = "nobody waited"
    raise AssertionError(message)
