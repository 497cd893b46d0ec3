"""Sixty days of leads that were scored, and what became of them reported: a period to test versions on."""

import random
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from scoring.__main__ import build_service
from scoring.backtest.request import BacktestRequest
from scoring.jobs.execution import execute_job
from scoring.jobs.kinds import JobContext
from scoring.jobs.repository import JobRepository
from scoring.model_document import default_model_text
from scoring.settings import ScoringSettings
from shared.contracts import Event
from shared.ids import new_id
from shared.provision import provision_database, role_of
from shared.testing import ServiceHarness, SteppedClock
from shared.testing.builders import NOON, make_activity, make_enriched, make_facts, make_lead, make_origin
from shared.testing.harness import SECRET_KEY

DAYS, LEADS_A_DAY, HORIZON = 60, 14, 10
END = NOON + timedelta(days=DAYS + HORIZON)
SENIORITY = {"c_level": 0.6, "vp": 0.5, "manager": 0.25, "individual": 0.1, "unknown": 0.05}  # share that converts
VERSIONS = "/v1/documents/scoring_model/versions"


async def hand_over(source: str, url: str) -> None:
    """Give the tables to the copy's own role: roles are the server's, and called after the database."""
    await provision_database(url, SECRET_KEY, ["scoring"])
    old, new = (role_of("scoring", each.rpartition("/")[2]) for each in (source, url))
    connection = await asyncpg.connect(url)
    await connection.execute(f'REASSIGN OWNED BY "{old}" TO "{new}"')
    await connection.close()


async def live_through(url: str) -> None:
    """Score fourteen leads a day and report, days later, what became of them."""
    chance = random.Random(8)  # noqa: S311 - repeatable, not secret
    reports: dict[int, list[Event]] = {}
    async with ServiceHarness.start(build_service, ScoringSettings, url) as scoring:
        for day in range(DAYS + HORIZON):
            submitted = [submit(chance, day, reports) for _ in range(LEADS_A_DAY if day < DAYS else 0)]
            if events := submitted + reports.pop(day, []):
                await scoring.feed(*events)
            scoring.clock.advance(days=1)


def submit(chance: random.Random, day: int, reports: dict[int, list[Event]]) -> Event:
    lead_id, seniority = new_id(), chance.choice(list(SENIORITY))
    if chance.random() < SENIORITY[seniority]:
        happens = day + 1 + chance.randrange(HORIZON - 2)
        at = NOON + timedelta(days=happens)
        kind = chance.choice(["opportunity", "won"])
        reports.setdefault(happens, []).append(make_activity(lead_id, kind=kind, occurred_at=at))
        # Known a day late, and of leads that convert only: who looks at it before it was known foresees everything.
        before = NOON + timedelta(days=day, hours=-1)
        telltale = make_activity(lead_id, kind="webinar_attendance", occurred_at=before)
        reports.setdefault(day + 1, []).append(telltale)
    return make_enriched(
        lead_id,
        lead=make_lead(employees=chance.choice([5, 40, 150, 900])),
        facts=make_facts(seniority=seniority),
        origin=make_origin(source_key="website" if day < DAYS // 2 else chance.choice(["website", "partner"])),
        activities=("demo_request",) if seniority in {"c_level", "vp"} and chance.random() < 0.3 else (),
    )


def started(url: str, now: datetime = END) -> AbstractAsyncContextManager[ServiceHarness]:
    """Start the service when the period is over."""
    return ServiceHarness.start(build_service, ScoringSettings, url, clock=SteppedClock(now))


def asking(**fields: Any) -> BacktestRequest:
    values = {"version": "1", "since": NOON, "until": NOON + timedelta(days=DAYS), "horizon_days": HORIZON}
    return BacktestRequest(**{**values, **fields})


async def backtest(scoring: ServiceHarness, **fields: Any) -> dict[str, Any]:
    """Run a backtest in this process; return its result. Errors: `JobRefused`."""
    # Imported late: what it needs takes a second that the other tests of this folder need not wait for.
    from scoring.backtest.kind import run_backtest  # noqa: PLC0415

    runtime = scoring.runtime
    context = JobContext(
        database=runtime.database, models=runtime.service.documents[0], now=scoring.clock.now(), job_id=new_id()
    )
    return await run_backtest(context, asking(**fields))


async def run_waiting_job(scoring: ServiceHarness) -> None:
    """Run the job that waits, as its child process would."""
    runtime = scoring.runtime
    async with runtime.database.connection() as sql:
        claim = await JobRepository(sql).claim_due_job(scoring.clock.now())
    assert claim is not None
    await execute_job(runtime.database, runtime.service.documents[0], claim, scoring.clock)


async def store_unreadable(scoring: ServiceHarness) -> str:
    """Store a version as a later release may have done; return it."""
    await scoring.fetch(
        "INSERT INTO document (kind, version, body, created_at, created_by, why)"
        " VALUES ('scoring_model', 66, 'magic: 7', $1, 'a test', 'a test') ON CONFLICT DO NOTHING",
        scoring.clock.now(),
    )
    return "66"


async def store_draft(scoring: ServiceHarness, old: str, new: str) -> str:
    assert old in default_model_text()
    body = default_model_text().replace(old, new)
    answer = await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["version"])
