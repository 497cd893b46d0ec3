"""A predictive model is learned from what became of leads, looked at, put in force by a person, and shown."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.integration.scoring.learned_population import ASKED, END, HORIZON, LEADS, MODELS, TRAININGS, live_and_learn
from tests.integration.scoring.lived_period import hand_over

from local_stack.blocking import run_blocking
from scoring.__main__ import build_service
from scoring.jobs.execution import execute_job
from scoring.jobs.kinds import JobContext
from scoring.jobs.repository import JobRepository
from scoring.model_document import default_model_text
from scoring.prediction import ranking
from scoring.prediction.ranking import rank_leads
from scoring.prediction.repository import LivePredictions, NewModel, PredictionRepository, decode_model
from scoring.prediction.request import RankingRequest
from scoring.settings import ScoringSettings
from shared.ids import new_id
from shared.testing import ServiceHarness
from shared.testing.builders import make_enriched, make_origin
from shared.testing.clocks import SteppedClock


@pytest.fixture(scope="module")
def lived_through(create_database: Callable[..., str]) -> str:
    """Return a database in which a population was decided about, day by day, and one model was learned from it."""
    database_url = create_database()
    run_blocking(live_and_learn(database_url))
    return database_url


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here is one process only, which knows of a model at once."""
    monkeypatch.setattr(ranking, "PAUSE_SECONDS", 0.0)


@pytest.fixture
async def trained(lived_through: str, create_database: Callable[..., str]) -> AsyncIterator[ServiceHarness]:
    url = create_database(lived_through)
    await hand_over(lived_through, url)
    async with ServiceHarness.start(build_service, ScoringSettings, url, clock=SteppedClock(END)) as harness:
        yield harness


async def run_job(scoring: ServiceHarness, job_id: str) -> dict[str, Any]:
    """Run the next job here, without a process of its own, and return it."""
    runtime = scoring.runtime
    async with runtime.database.connection() as sql:
        claim = await JobRepository(sql).claim_due_job(scoring.clock.now())
    assert claim is not None
    assert claim.job_id == job_id
    await execute_job(runtime.database, runtime.service.documents[0], claim, scoring.clock)
    job: dict[str, Any] = (await scoring.http.get(f"/v1/jobs/{job_id}")).json()
    return job


async def train(scoring: ServiceHarness, **asked: Any) -> dict[str, Any]:
    answer = await scoring.http.post(TRAININGS, json=asked)
    assert answer.status_code == 202, answer.text
    return await run_job(scoring, answer.json()["job_id"])


async def apply(scoring: ServiceHarness, version: int = 1) -> dict[str, Any]:
    answer = await scoring.http.post(f"{MODELS}/{version}/apply", json={"why": "a test", "force": True})
    assert answer.status_code == 200, answer.text
    change: dict[str, Any] = answer.json()
    return change


async def store_again(scoring: ServiceHarness) -> None:
    """Store model 1 as model 2 also."""
    await scoring.fetch(
        "INSERT INTO prediction_model SELECT 2, $1, created_at, created_by, refreshed_from, outcome, since,"
        " learned_until, until, model, report, learned FROM prediction_model WHERE version = 1",
        new_id(),
    )


async def rank_by(scoring: ServiceHarness, order: str) -> None:
    versions = "/v1/documents/scoring_model/versions"
    body = f"ranking: {order}\n{default_model_text()}"
    draft = (await scoring.http.post(versions, json={"body": body, "why": "a test"})).json()
    applied = await scoring.http.post(f"{versions}/{draft['version']}/apply", json={"why": "a test"})
    assert applied.status_code == 200, applied.text


async def listed(scoring: ServiceHarness, **params: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await scoring.http.get("/v1/scores", params={"limit": "190", **params, **cursor})).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


async def test_a_training_stores_a_version_with_its_span_and_measures(trained: ServiceHarness) -> None:
    model = (await trained.http.get(f"{MODELS}/1")).json()
    assert (model["version"], model["is_live"], model["refreshed_from"]) == (1, False, None)
    assert (model["outcome"], model["horizon_days"], model["half_life_days"]) == ("opportunity", HORIZON, 14)
    assert datetime.fromisoformat(model["until"]) == END
    report = model["report"]
    parts = [report[name]["leads"] for name in ("training", "calibration", "evaluation")]
    assert sum(parts) + report["still_open"] == LEADS
    assert report["measures"]["auc"]["value"] > 0.65
    assert model["amounts"]["demo_request"] > 0
    assert model["levels"]["facts.seniority"]["c_level"] > model["levels"]["facts.seniority"]["individual"]
    (listed_model,) = (await trained.http.get(MODELS)).json()["items"]
    assert listed_model["report"] == report


async def test_what_followed_from_the_outcome_is_not_learned_from(trained: ServiceHarness) -> None:
    # Every lead that was won had a meeting after it: learned from, that would foresee everything.
    model = (await trained.http.get(f"{MODELS}/1")).json()
    assert "meeting" not in model["amounts"]
    assert {"input": "activity.meeting", "reason": "constant"} in model["report"]["dropped"]
    assert model["report"]["measures"]["auc"]["value"] < 0.95


async def test_nothing_is_predicted_until_somebody_applies_a_model(trained: ServiceHarness) -> None:
    item = (await listed(trained, min_points="60"))[0]
    assert (item["probability"], item["prediction_version"]) == (None, None)
    assert (await trained.http.get(f"/v1/leads/{item['lead_id']}/score")).json()["prediction"] is None


async def test_a_live_model_explains_its_prediction_beside_the_score(trained: ServiceHarness) -> None:
    await apply(trained)
    lead_id = new_id()
    origin = make_origin(received_at=trained.clock.now())
    await trained.feed(make_enriched(lead_id, origin=origin, activities=("demo_request",)))
    answer = (await trained.http.get(f"/v1/leads/{lead_id}/score")).json()
    prediction = answer["prediction"]
    total = prediction["intercept"] + sum(each["log_odds"] for each in prediction["contributions"])
    assert total == pytest.approx(prediction["log_odds"], abs=1e-9)
    assert (prediction["version"], prediction["horizon_days"]) == (1, HORIZON)
    assert "activity.demo_request" in {each["input"] for each in prediction["contributions"]}
    assert answer["points"] == 83.0  # the rules' own
    stored = await trained.fetch("SELECT probability, prediction_version FROM lead_score WHERE lead_id = $1", lead_id)
    assert (stored[0]["probability"], stored[0]["prediction_version"]) == (prediction["probability"], 1)


async def test_after_a_model_is_applied_a_job_predicts_for_every_lead(trained: ServiceHarness) -> None:
    change = await apply(trained)
    assert (change["version"], change["version_before"]) == (1, None)
    job = await run_job(trained, change["ranking_job_id"])
    assert job["state"] == "done", job["error"]
    assert job["result"] == {"ranked": LEADS, "left": 0, "is_live": True}
    items = await listed(trained)
    assert len(items) == LEADS
    assert all(0 < item["probability"] < 1 and item["prediction_version"] == 1 for item in items)
    one = items[0]
    answer = await trained.http.get(f"/v1/leads/{one['lead_id']}/score", params={"at": one["scored_at"]})
    assert answer.json()["prediction"]["probability"] == one["probability"]


async def test_scores_are_listed_by_probability_only_when_the_model_document_says_so(trained: ServiceHarness) -> None:
    await run_job(trained, (await apply(trained))["ranking_job_id"])
    points = [item["points"] for item in await listed(trained)]
    assert points == sorted(points, reverse=True)
    await rank_by(trained, "probability")
    items = await listed(trained)
    order = [item["probability"] for item in items]
    assert order == sorted(order, reverse=True)
    assert len({item["lead_id"] for item in items}) == LEADS
    assert [item["points"] for item in items] != points
    some = await listed(trained, grade="B", is_mql="false", min_points="10")
    assert [item["probability"] for item in some] == sorted((item["probability"] for item in some), reverse=True)
    assert all(item["grade"] == "B" and not item["is_mql"] and item["points"] >= 10 for item in some)


async def test_leads_nothing_is_predicted_of_yet_follow_by_points(trained: ServiceHarness) -> None:
    await rank_by(trained, "probability")
    await apply(trained)  # and its job does not run
    new = [new_id(), new_id()]
    await trained.feed(*[make_enriched(lead_id) for lead_id in new])
    items = await listed(trained)
    assert {item["lead_id"] for item in items[:2]} == set(new)
    assert all(item["probability"] is None for item in items[2:])
    points = [item["points"] for item in items[2:]]
    assert points == sorted(points, reverse=True)
    assert len({item["lead_id"] for item in items}) == LEADS + 2


async def test_what_the_model_before_said_is_no_place_in_the_order(trained: ServiceHarness) -> None:
    await rank_by(trained, "probability")
    await run_job(trained, (await apply(trained))["ranking_job_id"])
    await store_again(trained)
    await apply(trained, 2)  # and its job does not run
    new = [new_id(), new_id()]
    await trained.feed(*[make_enriched(lead_id) for lead_id in new])
    items = await listed(trained)
    assert {item["lead_id"] for item in items[:2]} == set(new)
    assert [item["prediction_version"] for item in items] == [2, 2, *[1] * LEADS]
    points = [item["points"] for item in items[2:]]
    assert points == sorted(points, reverse=True)
    assert len({item["lead_id"] for item in items}) == LEADS + 2


async def test_a_page_in_the_order_by_probability_is_read_from_its_index(trained: ServiceHarness) -> None:
    await run_job(trained, (await apply(trained))["ranking_job_id"])
    rows = await trained.fetch(
        "EXPLAIN SELECT lead_id FROM lead_score WHERE prediction_version = 1 AND probability IS NOT NULL"
        " AND (probability, lead_id) < (0.5, $1::uuid) ORDER BY probability DESC, lead_id DESC LIMIT 5",
        new_id(),
    )
    plan = "\n".join(row[0] for row in rows)
    assert "Backward using lead_score_by_probability" in plan
    assert "Index Cond: ((prediction_version = 1) AND" in plan
    assert "Sort" not in plan


async def test_a_cursor_of_the_other_order_is_refused(trained: ServiceHarness) -> None:
    first = (await trained.http.get("/v1/scores", params={"limit": 5})).json()
    await apply(trained)
    await rank_by(trained, "probability")
    answer = await trained.http.get("/v1/scores", params={"limit": 5, "cursor": first["next_cursor"]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query:/cursor")


async def test_switching_predictions_off_is_audited_and_lists_by_points_again(trained: ServiceHarness) -> None:
    await rank_by(trained, "probability")
    await apply(trained)
    answer = await trained.http.post("/v1/predictions/off", json={"why": "the CRM changed its stages"})
    assert answer.json() == {"version": None, "version_before": 1, "ranking_job_id": None}
    points = [item["points"] for item in await listed(trained)]
    assert points == sorted(points, reverse=True)
    lead_id = new_id()
    await trained.feed(make_enriched(lead_id))
    assert (await trained.http.get(f"/v1/leads/{lead_id}/score")).json()["prediction"] is None
    rows = await trained.fetch(
        "SELECT action, why, before::text, after::text FROM audit WHERE subject = 'prediction_model' ORDER BY audit_id"
    )
    assert [(row["action"], row["why"]) for row in rows] == [
        ("prediction_model.applied", "a test"),
        ("prediction_model.off", "the CRM changed its stages"),
    ]
    assert '"version": 1' in rows[1]["before"]


async def test_a_model_measured_to_be_weak_needs_force_which_is_audited(trained: ServiceHarness) -> None:
    # Calibration measured on 150 leads is too uncertain to be below the limit.
    refused = await trained.http.post(f"{MODELS}/1/apply", json={"why": "a test"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/force")
    assert "calibration error (ECE)" in refused.json()["detail"]
    assert not (await trained.http.get(f"{MODELS}/1")).json()["is_live"]
    await apply(trained)
    assert (await trained.http.get(f"{MODELS}/1")).json()["is_live"]
    (row,) = await trained.fetch("SELECT after::text FROM audit WHERE action = 'prediction_model.applied'")
    assert "calibration error (ECE)" in row["after"]


async def test_a_refresh_learns_from_the_leads_since_and_stores_another_version(trained: ServiceHarness) -> None:
    await apply(trained)
    (waiting,) = (await trained.http.get("/v1/jobs?state=queued")).json()["items"]
    assert (await trained.http.post(f"/v1/jobs/{waiting['job_id']}/cancel")).status_code == 200
    before = (await trained.http.get(f"{MODELS}/1")).json()
    job = await train(trained, refresh=True)
    assert job["state"] == "done", job["error"]
    model = (await trained.http.get(f"{MODELS}/{job['result']['version']}")).json()
    assert (model["version"], model["refreshed_from"], model["is_live"]) == (2, 1, False)
    assert model["since"] == before["learned_until"] < model["learned_until"]
    assert model["report"]["training"]["leads"] < before["report"]["training"]["leads"]
    assert model["report"]["measures"]["auc"]["value"] > 0.65
    assert model["levels"].keys() == before["levels"].keys()


async def test_a_refresh_without_a_live_model_is_refused(scoring: ServiceHarness) -> None:
    job = await train(scoring, refresh=True)
    assert (job["state"], job["result"]) == ("failed", None)
    assert job["error"].startswith("No predictive model is live")


async def test_too_few_outcomes_are_refused_with_the_numbers(trained: ServiceHarness) -> None:
    job = await train(trained, horizon_days=HORIZON, since=(END - timedelta(days=HORIZON + 10)).isoformat())
    assert job["state"] == "failed"
    assert "needs 50 of each" in job["error"]


async def test_a_goal_nobody_reached_is_refused(trained: ServiceHarness) -> None:
    job = await train(trained, **{**ASKED, "outcome": "won"})
    assert "training has 0 leads with the outcome" in job["error"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}, "No lead without the outcome was decided"),
        ({"since": (END - timedelta(days=5)).isoformat()}, "nobody knows yet what becomes of them"),
    ],
)
async def test_a_period_without_leads_is_refused_in_a_sentence(
    scoring: ServiceHarness, asked: dict[str, str], sentence: str
) -> None:
    job = await train(scoring, **asked)
    assert job["state"] == "failed"
    assert sentence in job["error"]


async def test_a_training_that_is_run_again_stores_nothing_twice(trained: ServiceHarness) -> None:
    await trained.fetch("UPDATE job SET state = 'queued'")
    (job,) = (await trained.http.get("/v1/jobs?kind=training")).json()["items"]
    again = await run_job(trained, job["job_id"])
    assert (again["state"], again["result"]["version"]) == ("done", 1)
    assert len((await trained.http.get(MODELS)).json()["items"]) == 1


async def test_of_two_attempts_that_store_a_model_at_once_one_does(trained: ServiceHarness) -> None:
    (job,) = (await trained.http.get("/v1/jobs?kind=training")).json()["items"]
    async with trained.runtime.database.transaction() as sql:
        predictions = PredictionRepository(sql)
        row = await predictions.find_model(1)
        assert row is not None
        asked = {name: row[name] for name in ("refreshed_from", "outcome", "since", "learned_until", "until")}
        again = NewModel(job_id=job["job_id"], model=decode_model(row), report_json=row["report"], learned=b"", **asked)
        assert await predictions.add_model(again, trained.clock.now()) == 1
        assert await sql.fetchval("SELECT count(*) FROM prediction_model") == 1


async def test_a_model_says_when_it_was_stored_and_not_when_it_was_asked_for(trained: ServiceHarness) -> None:
    asked = await trained.http.post(TRAININGS, json=ASKED)
    trained.clock.advance(hours=3)
    job = await run_job(trained, asked.json()["job_id"])
    model = (await trained.http.get(f"{MODELS}/{job['result']['version']}")).json()
    assert datetime.fromisoformat(model["created_at"]) == trained.clock.now()
    assert datetime.fromisoformat(model["until"]) == END


async def test_a_lead_that_is_being_decided_about_is_passed_over_and_not_waited_for(
    trained: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "ROUNDS", 1)
    change = await apply(trained)
    (row,) = await trained.fetch("SELECT lead_id::text FROM lead_score LIMIT 1")
    async with trained.runtime.work() as work:
        await work.repo.lock_leads([row["lead_id"]])
        job = await run_job(trained, change["ranking_job_id"])
    assert job["result"] == {"ranked": LEADS - 1, "left": 1, "is_live": True}


async def test_a_ranking_finds_what_a_process_that_knew_the_old_model_only_stored_behind_it(
    trained: ServiceHarness,
) -> None:
    await apply(trained)
    late: list[asyncpg.Record] = []

    async def tell(done: int, total: int) -> None:
        if done == total and not late:
            late[:] = await trained.fetch(
                "UPDATE lead_score SET probability = NULL, prediction_version = NULL"
                " WHERE lead_id = (SELECT min(lead_id::text)::uuid FROM lead_score) RETURNING lead_id::text"
            )

    runtime = trained.runtime
    context = JobContext(runtime.database, runtime.service.documents[0], trained.clock.now(), new_id(), tell)
    assert await rank_leads(context, RankingRequest(version=1)) == {"ranked": LEADS + 1, "left": 0, "is_live": True}
    assert len(late) == 1
    assert not await trained.fetch("SELECT FROM lead_score WHERE prediction_version IS DISTINCT FROM 1")


async def test_a_ranking_ends_when_its_model_is_not_live_any_more(trained: ServiceHarness) -> None:
    change = await apply(trained)
    await trained.http.post("/v1/predictions/off", json={"why": "a test"})
    job = await run_job(trained, change["ranking_job_id"])
    assert job["result"] == {"ranked": 0, "left": 0, "is_live": False}


async def test_a_process_learns_of_another_model_without_being_told(trained: ServiceHarness) -> None:
    elsewhere = LivePredictions()
    async with trained.runtime.database.connection() as sql:
        assert await elsewhere.get(sql) is None
        await apply(trained)
        elsewhere.forget()  # a second later
        live = await elsewhere.get(sql)
    assert live is not None
    assert live.version == 1


async def test_a_stored_model_never_changes(trained: ServiceHarness) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await trained.fetch("UPDATE prediction_model SET outcome = 'won'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await trained.fetch("DELETE FROM prediction_model")
