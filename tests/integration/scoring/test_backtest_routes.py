"""Backtests over HTTP, and those that the service starts by itself."""

from datetime import timedelta
from math import isnan
from typing import Any

import pytest
from prometheus_client import REGISTRY
from tests.integration.scoring.lived_period import (
    DAYS,
    END,
    LEADS_A_DAY,
    VERSIONS,
    asking,
    run_waiting_job,
    started,
    store_draft,
    store_unreadable,
)

from scoring.backtest.health import ScoringHealth
from scoring.backtest.schedule import BacktestSchedule
from scoring.jobs.runner import JobRunner
from shared.ids import new_id
from shared.model_client import Backtest
from shared.plan_tables import describe_backtest
from shared.service_client import converted
from shared.testing.builders import NOON, make_activity

# Over HTTP


async def test_a_backtest_is_a_job_and_the_finished_ones_are_listed(copied: str) -> None:
    async with started(copied) as scoring:
        other = await store_draft(scoring, "points: 22", "points: 21")
        started_jobs = []
        for version in ("1", other, "1"):
            answer = await scoring.http.post("/v1/backtests", json=asking(version=version).model_dump(mode="json"))
            assert answer.status_code == 202, answer.text
            started_jobs.append(answer.headers["location"])
            await run_waiting_job(scoring)
        job = (await scoring.http.get(started_jobs[-1])).json()
        every = (await scoring.http.get("/v1/backtests")).json()["items"]
        first = (await scoring.http.get("/v1/backtests", params={"version": "1", "limit": 1})).json()
        rest = (await scoring.http.get("/v1/backtests", params={"version": "1", "cursor": first["next_cursor"]})).json()
    assert (job["state"], job["kind"], job["done"]) == ("done", "backtest", DAYS * LEADS_A_DAY)
    assert [item["version"] for item in every] == ["1", other, "1"]
    assert (every[1]["live_version"], every[0]["live_version"]) == ("1", None)
    assert [item["version"] for item in first["items"] + rest["items"]] == ["1", "1"]
    assert first["items"][0]["auc"] == job["result"]["measured"]["auc"]["value"]
    assert rest["next_cursor"] is None
    shown = describe_backtest(other, "1", converted(every, list[Backtest])[1])  # what `leadrail model apply` says
    assert f"AUC {every[1]['auc_difference']:+.3f} against version 1: " in shown


async def test_a_refused_backtest_says_why_and_is_not_listed(copied: str) -> None:
    async with started(copied) as scoring:
        body = asking(until=NOON + timedelta(days=1)).model_dump(mode="json")
        answer = await scoring.http.post("/v1/backtests", json=body)
        assert await JobRunner(scoring.runtime, timedelta(days=90)).run_once()  # in a process of its own
        job = (await scoring.http.get(answer.headers["location"])).json()
        listed = (await scoring.http.get("/v1/backtests")).json()
    assert job["state"] == "failed"
    assert job["error"].startswith(f"Of {LEADS_A_DAY} leads that can be judged")
    assert listed == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"version": "77"}, 404, "/version"),
        ({"version": "1\x00"}, 422, "/version"),
        ({"until": "2026-11-24T10:00:00Z"}, 422, "/until"),
        ({"until": "2036-11-24T10:00:00Z"}, 422, "/until"),
        ({"since": "0001-01-01T00:00:00Z"}, 422, "/since"),
        ({"horizon_days": 0}, 422, "/horizon_days"),
        ({"outcome": "lost"}, 422, "/outcome"),
        ({"window": 7}, 422, "/window"),
    ],
)
async def test_a_request_that_makes_no_sense_is_a_problem(
    lived: str, change: dict[str, Any], status: int, pointer: str
) -> None:
    async with started(lived) as scoring:
        body = {**asking().model_dump(mode="json"), **change}
        answer = await scoring.http.post("/v1/backtests", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (status, pointer)
        assert (await scoring.http.get("/v1/backtests", params={"cursor": "WyJhIl0"})).status_code == 422
        async with scoring.http_as("leads:read") as reader:
            assert (await reader.post("/v1/backtests", json=body)).status_code == 403
            assert (await reader.get("/v1/backtests")).status_code == 403


async def test_a_version_that_this_release_cannot_read_is_a_conflict(copied: str) -> None:
    async with started(copied) as scoring:
        version = await store_unreadable(scoring)
        asked = asking(version=version).model_dump(mode="json")
        answers = [
            await scoring.http.post("/v1/backtests", json=asked),
            await scoring.http.post("/v1/plans", json={"version": version}),
        ]
        (lead_id,) = (await scoring.fetch("SELECT lead_id::text FROM lead_score LIMIT 1"))[0]
        await scoring.fetch(  # the last decision of the lead is a later release's, which was rolled back
            "INSERT INTO score_decision SELECT lead_id, $2, trigger, $3, '66', points, raw, fit, engagement, grade,"
            " is_mql, profile FROM score_decision WHERE lead_id = $1 AND profile IS NOT NULL LIMIT 1",
            lead_id,
            new_id(),
            scoring.clock.now() - timedelta(hours=1),
        )
        at = (scoring.clock.now() - timedelta(minutes=1)).isoformat()
        answers.append(await scoring.http.get(f"/v1/leads/{lead_id}/score", params={"at": at}))
    assert [answer.status_code for answer in answers] == [409] * 3, answers[-1].text
    assert {answer.json()["type"].rpartition("/")[2] for answer in answers} == {"unreadable_version"}


# By itself


async def test_the_live_version_is_tested_by_itself_once_in_so_many_days(copied: str) -> None:
    async with started(copied, END + timedelta(days=90)) as scoring:
        store = scoring.runtime.service.documents[0]
        schedule = BacktestSchedule(scoring.runtime, store, timedelta(days=7))
        assert await BacktestSchedule(scoring.runtime, store, timedelta(0)).run_once() is None
        assert await schedule.run_once() is not None
        assert await schedule.run_once() is None
        await run_waiting_job(scoring)
        scoring.clock.advance(days=7)
        assert await schedule.run_once() is not None
        first = (await scoring.http.get("/v1/backtests")).json()["items"][0]
    assert (first["asked_by"], first["version"], first["leads"]) == ("scoring", "1", DAYS * LEADS_A_DAY)


async def test_without_outcomes_no_backtest_is_started(create_database: Any) -> None:
    async with started(create_database(), NOON) as scoring:
        schedule = BacktestSchedule(scoring.runtime, scoring.runtime.service.documents[0], timedelta(days=7))
        assert await schedule.run_once() is None
        await scoring.feed(*[make_activity(kind="won") for _ in range(30)])
        assert await schedule.run_once() is not None


async def test_the_health_of_the_live_version_shows_as_metrics(copied: str) -> None:
    async with started(copied) as scoring:
        store = scoring.runtime.service.documents[0]
        health = ScoringHealth(scoring.runtime, store)
        await health.run_once()
        assert isnan(gauge("auc"))
        assert isnan(gauge("backtest_age_seconds"))
        await scoring.http.post("/v1/backtests", json=asking().model_dump(mode="json"))
        await run_waiting_job(scoring)
        scoring.clock.advance(hours=1)
        await health.run_once()
        (shown,) = (await scoring.http.get("/v1/backtests")).json()["items"]
        assert (gauge("auc"), gauge("brier"), gauge("ece")) == (shown["auc"], shown["brier"], shown["ece"])
        assert gauge("backtest_age_seconds") == 3600
        assert gauge("psi", input="source") > 0.25
        other = await store_draft(scoring, "points: 22", "points: 21")
        await scoring.http.post(f"{VERSIONS}/{other}/apply", json={"why": "a test"})
        await health.run_once()
        assert isnan(gauge("auc"))  # of the version that is live now nothing is known
        assert REGISTRY.get_sample_value("leadrail_scoring_psi", {"input": "source"}) is None


def gauge(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(f"leadrail_scoring_{name}", labels)
    assert value is not None
    return value
