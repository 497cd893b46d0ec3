"""What scoring emits for what it receives, with a real database."""

import random
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest

from scoring.__main__ import build_service
from scoring.settings import ScoringSettings
from shared.contracts import Event, LeadEnriched, LeadQualified, LeadScored, Score
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity, make_enriched, make_facts, make_lead, make_origin


def enriched(lead_id: str, **fields: object) -> LeadEnriched:
    """A VP of nothing in particular: 22 points of fit, so that engagement decides."""
    return make_enriched(lead_id, **{"lead": make_lead(industry=None, employees=None), **fields})


def scores(events: list[Event]) -> list[Score]:
    return [event.score for event in events if isinstance(event, LeadScored)]


def crossings(events: list[Event]) -> list[bool]:
    return [event.is_mql for event in events if isinstance(event, LeadQualified)]


async def test_a_submission_is_scored_and_carries_what_consent_needs(scoring: ServiceHarness) -> None:
    received = enriched(new_id(), has_gpc=True)
    (event,) = await scoring.feed(received)
    assert isinstance(event, LeadScored)
    assert (event.origin, event.lead, event.facts) == (received.origin, received.lead, received.facts)
    assert (event.trigger, event.has_gpc) == ("submission", True)
    assert (event.score.points, event.score.grade, event.score.is_mql) == (22.0, "C", False)


async def test_a_demo_request_in_the_submission_makes_an_mql(scoring: ServiceHarness) -> None:
    emitted = await scoring.feed(enriched(new_id(), activities=("demo_request",)))
    assert [score.points for score in scores(emitted)] == [52.0]
    assert crossings(emitted) == [True]


async def test_a_redelivery_emits_the_very_same_events_and_changes_nothing(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    first = await scoring.feed(enriched(lead_id, activities=("demo_request",)))
    decisions = await scoring.fetch("SELECT * FROM score_decision WHERE lead_id = $1", lead_id)
    scoring.clock.advance(days=3)
    assert await scoring.redeliver_last() == first
    assert await scoring.fetch("SELECT * FROM score_decision WHERE lead_id = $1", lead_id) == decisions


async def test_an_activity_before_its_lead_counts_once_the_lead_is_known(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    assert await scoring.feed(make_activity(lead_id)) == []
    emitted = await scoring.feed(enriched(lead_id))
    assert [score.engagement for score in scores(emitted)] == [30.0]
    assert crossings(emitted) == [True]


async def test_an_activity_scores_its_lead_again_with_the_latest_origin(scoring: ServiceHarness) -> None:
    lead_id, latest = new_id(), make_origin()
    await scoring.feed(enriched(lead_id), enriched(lead_id, origin=latest))
    (event,) = await scoring.feed(make_activity(lead_id, kind="content_download"))
    assert isinstance(event, LeadScored)
    assert (event.trigger, event.origin, event.score.engagement) == ("activity", latest, 5.0)


async def test_the_same_activity_counts_once_however_often_it_is_sent(scoring: ServiceHarness) -> None:
    lead_id, activity_id = new_id(), new_id()
    await scoring.feed(enriched(lead_id))
    again = make_activity(lead_id, activity_id=activity_id, kind="content_download")
    first = await scoring.feed(again, again)
    assert len(scores(first)) == 1
    assert await scoring.feed(again) == []


async def test_the_same_record_proves_its_activities_once(scoring: ServiceHarness) -> None:
    lead_id, origin = new_id(), make_origin()
    replayed = enriched(lead_id, origin=origin, activities=("content_download",))
    emitted = await scoring.feed(replayed, replayed) + await scoring.feed(replayed)
    assert [score.engagement for score in scores(emitted)] == [5.0, 5.0, 5.0]


async def test_unsubscribing_costs_ten_points(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(enriched(lead_id))
    emitted = await scoring.feed(make_activity(lead_id, kind="unsubscribe"))
    assert [(score.fit, score.points) for score in scores(emitted)] == [(22.0, 12.0)]


async def test_what_the_crm_reports_is_kept_and_not_scored(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(enriched(lead_id))
    assert await scoring.feed(make_activity(lead_id, kind="won", detail={"reason": "price"})) == []
    (row,) = await scoring.fetch("SELECT kind, detail FROM activity WHERE lead_id = $1", lead_id)
    assert (row["kind"], row["detail"]) == ("won", b'{"reason":"price"}')


async def test_decay_ends_an_mql_at_the_instant_the_formula_says(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(enriched(lead_id, activities=("demo_request",)))
    (timer,) = await scoring.fetch("SELECT due_at FROM timer WHERE key = $1", lead_id)
    scoring.clock.advance(seconds=(timer["due_at"] - scoring.clock.now() - timedelta(milliseconds=1)).total_seconds())
    assert [event for event in await scoring.fire_due_timers() if event.lead_id == lead_id] == []
    scoring.clock.advance(milliseconds=1)
    (event,) = [event for event in await scoring.fire_due_timers() if event.lead_id == lead_id]
    assert isinstance(event, LeadQualified)
    assert (event.is_mql, event.score.points) == (False, 44.99)
    (row,) = await scoring.fetch("SELECT is_mql, trigger FROM lead_score WHERE lead_id = $1", lead_id)
    assert (row["is_mql"], row["trigger"]) == (False, "decay")


async def test_new_engagement_moves_the_end_of_an_mql(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(enriched(lead_id, activities=("demo_request",)))
    (before,) = await scoring.fetch("SELECT due_at FROM timer WHERE key = $1", lead_id)
    await scoring.feed(make_activity(lead_id, kind="webinar_attendance", occurred_at=scoring.clock.now()))
    (after,) = await scoring.fetch("SELECT due_at FROM timer WHERE key = $1", lead_id)
    assert after["due_at"] > before["due_at"]


async def test_a_lead_that_stops_being_an_mql_has_no_timer_left(scoring: ServiceHarness) -> None:
    lead_id = new_id()
    await scoring.feed(enriched(lead_id, activities=("demo_request",)))
    emitted = await scoring.feed(enriched(lead_id, facts=make_facts(seniority="vp", is_competitor=True)))
    assert crossings(emitted) == [False]
    assert await scoring.fetch("SELECT * FROM timer WHERE key = $1", lead_id) == []


@pytest.mark.parametrize("seed", [7, 23])
async def test_a_batch_gives_what_its_events_give_one_by_one(create_database: Callable[[], str], seed: int) -> None:
    events = mixed_events(random.Random(seed), leads=12, count=120)  # noqa: S311 - repeatable, not secret
    async with ServiceHarness.start(build_service, ScoringSettings, create_database()) as harness:
        together = of_each_lead(await harness.feed(*events))
        stored_together = await stored(harness)
    async with ServiceHarness.start(build_service, ScoringSettings, create_database()) as harness:
        alone = of_each_lead([emitted for event in events for emitted in await harness.feed(event)])
        stored_alone = await stored(harness)
    assert together == alone
    assert stored_together == stored_alone


async def stored(harness: ServiceHarness) -> list[list[asyncpg.Record]]:
    """Return everything scoring keeps, but for ids that are made when it is stored."""
    return [
        await harness.fetch(
            "SELECT lead_id, score.points, score.raw, score.is_mql, lines, decision.profile FROM lead_score AS score"
            " JOIN score_decision AS decision USING (lead_id) WHERE decision.decision_id = profile_id ORDER BY lead_id"
        ),
        await harness.fetch(
            "SELECT lead_id, trigger, points, is_mql, profile FROM score_decision ORDER BY lead_id, decision_id"
        ),
        await harness.fetch("SELECT * FROM activity ORDER BY lead_id, activity_id"),
        await harness.fetch("SELECT kind, key, due_at FROM timer ORDER BY kind, key"),
    ]


def mixed_events(chance: random.Random, *, leads: int, count: int) -> list[Event]:
    """Submissions and activities of a few leads, in any order, some of them twice."""
    lead_ids = [new_id() for _ in range(leads)]
    submissions: list[Event] = [
        enriched(
            chance.choice(lead_ids),
            facts=make_facts(seniority=chance.choice(["vp", "manager", "unknown"])),
            activities=chance.choice([(), ("demo_request",), ("content_download", "email_click")]),
        )
        for _ in range(count // 2)
    ]
    activities: list[Event] = [
        make_activity(
            chance.choice(lead_ids),
            kind=chance.choice(["website_visit", "trial_usage", "unsubscribe", "meeting", "won"]),
            occurred_at=NOON - timedelta(hours=chance.randrange(2000)),
        )
        for _ in range(count // 2)
    ]
    events = [*submissions, *activities, *activities[: count // 10]]
    chance.shuffle(events)
    return events


def of_each_lead(events: list[Event]) -> dict[str, list[Event]]:
    by_lead: dict[str, list[Event]] = {}
    for event in events:
        by_lead.setdefault(event.lead_id, []).append(event)
    return by_lead
