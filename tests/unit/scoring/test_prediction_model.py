"""A prediction is a sum that explains itself, of what was known of a lead and of nothing else."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from math import exp, fsum, log1p
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.prediction.features import BEHAVIOURS, LEVEL_INPUTS, OTHER, amounts_of, levels_of
from scoring.prediction.model import PredictiveModel, predict
from shared.contracts import ActivityKind
from shared.testing.builders import make_facts, make_lead, make_origin

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HALF_LIFE = timedelta(days=14)


def make_profile(*, has_gpc: bool = False, **fields: Any) -> Profile:
    return Profile(origin=make_origin(), lead=make_lead(**fields), facts=make_facts(), has_gpc=has_gpc)


def make_activity(kind: ActivityKind = "demo_request", **fields: Any) -> Activity:
    values = {"activity_id": "a", "kind": kind, "occurred_at": NOW, "known_at": NOW, **fields}
    return Activity(**values)


coefficients = st.floats(-5, 5)
profiles = st.builds(
    make_profile,
    has_gpc=st.booleans(),
    employees=st.none() | st.integers(0, 10**9),
    industry=st.sampled_from([None, "", "Software", "x" * 200]),
    country=st.sampled_from([None, "DE", "XX"]),
)
activities = st.builds(
    lambda kind, age, delay: make_activity(
        kind, occurred_at=NOW - timedelta(seconds=age), known_at=NOW - timedelta(seconds=age - delay)
    ),
    st.sampled_from(get_args(ActivityKind)),
    st.integers(-86_400, 90 * 86_400),
    st.integers(-3600, 3600),
)
histories = st.lists(activities, max_size=20)
models = st.builds(
    PredictiveModel,
    horizon_days=st.just(30),
    half_life_days=st.sampled_from([1.0, 14.0]),
    intercept=coefficients,
    levels=st.fixed_dictionaries(
        {}, optional={name: st.fixed_dictionaries({OTHER: coefficients, "no": coefficients}) for name in LEVEL_INPUTS}
    ),
    amounts=st.dictionaries(st.sampled_from(BEHAVIOURS), coefficients, max_size=8),
)


@given(models, profiles, histories)
@settings(max_examples=60, deadline=None)
def test_contributions_and_intercept_add_up_to_the_log_odds(
    model: PredictiveModel, profile: Profile, history: list[Activity]
) -> None:
    prediction = predict(model, profile, history, NOW)
    assert abs(model.intercept + sum(each.log_odds for each in prediction.contributions) - prediction.log_odds) < 1e-9
    assert prediction.probability == pytest.approx(1 / (1 + exp(-prediction.log_odds)), abs=1e-12)


@given(models, profiles, histories.flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_activities_are_known_does_not_matter(
    model: PredictiveModel, profile: Profile, orders: tuple[list[Activity], list[Activity]]
) -> None:
    in_order, shuffled = orders
    assert predict(model, profile, shuffled, NOW) == predict(model, profile, in_order, NOW)


@given(models, profiles, histories, st.timedeltas(timedelta(microseconds=1), timedelta(days=90)))
@settings(max_examples=60, deadline=None)
def test_what_becomes_known_later_changes_no_prediction(
    model: PredictiveModel, profile: Profile, history: list[Activity], later: timedelta
) -> None:
    late = make_activity("demo_request", occurred_at=NOW - later, known_at=NOW + later)
    assert predict(model, profile, [*history, late], NOW) == predict(model, profile, history, NOW)


@pytest.mark.parametrize("kind", ["first_touch", "accepted", "rejected", "opportunity", "won", "lost"])
def test_what_sales_reports_is_no_input(kind: ActivityKind) -> None:
    assert amounts_of([make_activity(kind)], NOW, 14) == {}


def test_what_a_colleague_did_is_no_input_of_the_lead() -> None:
    assert amounts_of([make_activity(is_colleagues=True)], NOW, 14) == {}


def test_an_activity_halves_each_half_life_and_repeats_count_ever_less() -> None:
    done = [make_activity(occurred_at=NOW - times * HALF_LIFE) for times in (0, 1, 2)]
    assert amounts_of(done, NOW, 14) == {"demo_request": log1p(1.75)}


@pytest.mark.parametrize(
    ("employees", "band"),
    [(None, "unknown"), (0, "0..1"), (1, "0..1"), (2, "2..10"), (10, "2..10"), (11, "11..50"), (5000, "1001..5000"),
     (5001, "5001.."), (10**12, "5001..")],
)  # fmt: skip
def test_a_company_has_the_band_of_its_size(employees: int | None, band: str) -> None:
    assert dict(zip(LEVEL_INPUTS, levels_of(make_profile(employees=employees)), strict=True))["lead.employees"] == band


def test_a_level_the_model_never_saw_counts_as_other_and_says_so() -> None:
    model = PredictiveModel(
        horizon_days=30,
        half_life_days=14,
        intercept=-2.0,
        levels={"lead.country": {"DE": 0.5, OTHER: -0.25}},
        amounts={},
    )
    known, new = (predict(model, make_profile(country=country), (), NOW) for country in ("DE", "CH"))
    assert [(each.value, each.level, each.log_odds) for each in known.contributions] == [("DE", "DE", 0.5)]
    assert [(each.value, each.level, each.log_odds) for each in new.contributions] == [("CH", OTHER, -0.25)]
    assert new.log_odds == fsum([-2.0, -0.25])


def test_a_service_predicts_without_what_learning_needs() -> None:
    program = "import sys, scoring.__main__; sys.exit(bool({'numpy', 'scipy', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
