"""What is asked of predictions and makes no sense, or is asked by somebody who may not."""

from typing import Any

import pytest

from shared.testing import ServiceHarness

TRAININGS = "/v1/predictions/trainings"
MODELS = "/v1/predictions/models"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{MODELS}/99", None, 404),
        ("GET", f"{MODELS}/0", None, 422),
        ("GET", f"{MODELS}?cursor=nonsense", None, 422),
        ("POST", f"{MODELS}/99/apply", {"why": "a test"}, 404),
        ("POST", f"{MODELS}/1/apply", {"why": ""}, 422),
        ("POST", f"{MODELS}/1/apply", {"why": "a test", "forse": True}, 422),
        ("POST", "/v1/predictions/off", {}, 422),
        ("POST", TRAININGS, {"horizon_days": 0}, 422),
        ("POST", TRAININGS, {"half_life_days": 0}, 422),
        ("POST", TRAININGS, {"outcome": "lost"}, 422),
        ("POST", TRAININGS, {"refresh": True, "horizon_days": 5}, 422),
        ("POST", TRAININGS, {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, 422),
    ],
)
async def test_a_request_that_makes_no_sense_is_a_problem(
    scoring: ServiceHarness, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    answer = await scoring.http.request(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"refresh": True, "horizon_days": 5, "outcome": "won"}, "/refresh", "give no outcome, horizon_days"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "/since", "the horizon (90 days)"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-06T00:00:00Z", "horizon_days": 5}, "/since", "(5 days)"),
    ],
)
async def test_a_training_that_contradicts_itself_is_told_in_which_field(
    scoring: ServiceHarness, body: dict[str, Any], pointer: str, words: str
) -> None:
    [error] = (await scoring.http.post(TRAININGS, json=body)).json()["errors"]
    assert (error["pointer"], words in error["detail"]) == (pointer, True)


async def test_who_may_plan_may_train_but_not_apply(scoring: ServiceHarness) -> None:
    async with scoring.http_as("config:plan") as planner, scoring.http_as("leads:read") as reader:
        assert (await reader.get(MODELS)).status_code == 403
        assert (await planner.post(TRAININGS, json={})).status_code == 202
        assert (await planner.post(f"{MODELS}/1/apply", json={"why": "a test"})).status_code == 403
        assert (await planner.post("/v1/predictions/off", json={"why": "a test"})).status_code == 403
