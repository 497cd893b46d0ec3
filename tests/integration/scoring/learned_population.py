"""A population whose outcomes follow from what is known of it, and a predictive model that was learned from it."""

from datetime import datetime, timedelta

from scoring.__main__ import build_service
from scoring.jobs.runner import JobRunner
from scoring.prediction.population import SyntheticLead, make_population
from scoring.settings import ScoringSettings
from shared.contracts import Event, LeadEnriched
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import NOON, make_activity

DAYS, STEP, HORIZON = 100, 4, 16
END = NOON + timedelta(days=DAYS + HORIZON)
LEADS = 1000
TRAININGS = "/v1/predictions/trainings"
MODELS = "/v1/predictions/models"
ASKED = {"outcome": "opportunity", "horizon_days": HORIZON, "since": NOON.isoformat()}


async def live_and_learn(database_url: str) -> None:
    """Decide about a population day by day, with reports of what became of it, and learn one model from it."""
    leads = make_population(
        LEADS,
        seed=1,
        since=NOON,
        until=NOON + timedelta(days=DAYS),
        horizon_days=HORIZON - STEP - 2,
        intercept=-1.0,
    )
    async with ServiceHarness.start(build_service, ScoringSettings, database_url) as harness:
        won: list[tuple[datetime, str]] = []
        for _ in range((DAYS + HORIZON) // STEP):
            now = harness.clock.now()
            new = [lead for lead in leads if now <= lead.at < now + timedelta(days=STEP)]
            ids = [new_id() for _ in new]
            won += [
                (now + (lead.won_at - lead.at), lead_id) for lead, lead_id in zip(new, ids, strict=True) if lead.won_at
            ]
            await harness.feed(*_activities(new, ids, now), make_activity(kind="unsubscribe", occurred_at=now))
            await harness.feed(*_submissions(new, ids))
            await harness.feed(make_activity(kind="unsubscribe"), *_reports(won, now))
            harness.clock.advance(days=STEP)
        answer = await harness.http.post(TRAININGS, json=ASKED)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['job_id']}"
        assert await JobRunner(harness.runtime, timedelta(days=90)).run_once()


def _activities(leads: list[SyntheticLead], ids: list[str], now: datetime) -> list[Event]:
    return [
        make_activity(lead_id, kind=each.kind, occurred_at=now - (lead.at - each.occurred_at))
        for lead, lead_id in zip(leads, ids, strict=True)
        for each in lead.activities
    ]


def _submissions(leads: list[SyntheticLead], ids: list[str]) -> list[Event]:
    return [
        LeadEnriched(lead_id=lead_id, origin=lead.profile.origin, lead=lead.profile.lead, facts=lead.profile.facts)
        for lead, lead_id in zip(leads, ids, strict=True)
    ]


def _reports(won: list[tuple[datetime, str]], now: datetime) -> list[Event]:
    """Return what became known by *now* of the leads in *won*, and take them out: a deal, and a meeting after it."""
    due = [each for each in won if each[0] <= now]
    won[:] = [each for each in won if each[0] > now]
    reports: list[Event] = [make_activity(lead_id, kind="opportunity", occurred_at=at) for at, lead_id in due]
    return reports + [make_activity(lead_id, kind="meeting", occurred_at=at) for at, lead_id in due]
