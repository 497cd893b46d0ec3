"""What is learned of leads whose truth is known: their order, their probabilities, and nothing from too little."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from scoring.backtest.measures import Band, expected_calibration_error
from scoring.jobs.kinds import JobRefused
from scoring.prediction.examples import Columns, ExampleCollector, Examples, Floats
from scoring.prediction.features import OTHER
from scoring.prediction.fitting import Coefficients, fit, refresh
from scoring.prediction.learning import DAY, Learned, learn, split_by_time
from scoring.prediction.measures import calibration_error, measure, places_of
from scoring.prediction.model import predict
from scoring.prediction.population import SyntheticLead, make_population
from scoring.prediction.training import pack_coefficients, unpack_coefficients

END = datetime(2026, 11, 1, tzinfo=UTC)
HORIZON = 30
HALF_LIFE = 14.0


def population(size: int, *, seed: int, since: int = 300, until: int = 0) -> list[SyntheticLead]:
    return make_population(size, seed=seed, since=END - timedelta(days=since), until=END - timedelta(days=until))


def examples_of(leads: list[SyntheticLead]) -> Examples:
    collector = ExampleCollector(HALF_LIFE)
    for lead in leads:
        collector.add(lead.profile, lead.activities, lead.at, is_good=lead.won_at is not None, points=0.0)
    return collector.collect()


def learn_from(leads: list[SyntheticLead]) -> Learned:
    return learn(examples_of(leads), horizon_days=HORIZON, half_life_days=HALF_LIFE)


def predictions(learned: Learned, leads: list[SyntheticLead]) -> Floats:
    return np.array([predict(learned.model, lead.profile, lead.activities, lead.at).probability for lead in leads])


def outcomes(leads: list[SyntheticLead]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.array([lead.won_at is not None for lead in leads])


@pytest.fixture(scope="module")
def leads() -> list[SyntheticLead]:
    return population(20_000, seed=1)


@pytest.fixture(scope="module")
def learned(leads: list[SyntheticLead]) -> Learned:
    return learn_from(leads)


@pytest.fixture(scope="module")
def others() -> list[SyntheticLead]:
    return population(20_000, seed=2)


@pytest.fixture(scope="module")
def predicted(learned: Learned, others: list[SyntheticLead]) -> Floats:
    return predictions(learned, others)


def test_the_true_order_of_other_leads_is_recovered(predicted: Floats, others: list[SyntheticLead]) -> None:
    oracle = roc_auc_score(outcomes(others), [lead.log_odds for lead in others])
    assert roc_auc_score(outcomes(others), predicted) > oracle - 0.02


def test_probabilities_of_other_leads_are_right(predicted: Floats, others: list[SyntheticLead]) -> None:
    came = outcomes(others).astype(np.float64)
    assert calibration_error(predicted, came, places_of(predicted), np.ones(len(came))) <= 0.03
    truth = 1 / (1 + np.exp(-np.array([lead.log_odds for lead in others])))
    assert np.abs(predicted - truth).mean() <= 0.03


def test_the_reported_measures_say_how_good_it_is_on_leads_it_never_saw(
    learned: Learned, predicted: Floats, others: list[SyntheticLead]
) -> None:
    measures, came = learned.report.measures, outcomes(others)
    assert measures.ece.value <= 0.03
    assert measures.auc.low <= roc_auc_score(came, predicted) <= measures.auc.high
    assert measures.rule_auc.value == 0.5  # all of them had no points
    assert sum(each.leads for each in measures.reliability) == measures.leads == learned.report.evaluation.leads


def test_effects_have_the_direction_and_size_of_the_truth(learned: Learned) -> None:
    seniority, amounts = learned.model.levels["facts.seniority"], learned.model.amounts
    assert seniority["c_level"] - seniority["student"] == pytest.approx(1.2 + 1.5, abs=0.6)
    assert amounts["demo_request"] == pytest.approx(1.8, abs=0.4)
    assert amounts["unsubscribe"] < 0
    assert all(abs(effect) < 0.3 for effect in learned.model.levels["lead.country"].values())


def test_inputs_that_are_the_same_for_every_lead_are_dropped_and_named(learned: Learned) -> None:
    dropped = {each.input: each.reason for each in learned.report.dropped}
    assert dropped["facts.department"] == dropped["has_gpc"] == dropped["activity.meeting"] == "constant"
    assert "facts.department" not in learned.model.levels
    assert "meeting" not in learned.model.amounts


def test_an_average_lead_is_neither_better_nor_worse_than_the_average(learned: Learned, leads: list[SyntheticLead]):
    known = [lead for lead in leads if lead.at < learned.learned_until]
    sums = dict.fromkeys(learned.model.levels, 0.0)
    for lead in known:
        for each in predict(learned.model, lead.profile, (), lead.at).contributions:
            sums[each.input] += each.log_odds
    assert all(abs(total / len(known)) < 1e-9 for total in sums.values())


def test_the_same_leads_give_the_same_model() -> None:
    few = population(3000, seed=3)
    assert learn_from(few).model == learn_from(few).model
    assert learn_from(few).report == learn_from(few[::-1]).report


def test_a_refresh_is_as_good_as_learning_everything_again(others: list[SyntheticLead]) -> None:
    early = population(5000, seed=4, since=600, until=300)
    late = population(5000, seed=5, since=300, until=0)
    before = learn_from(early)
    fresh = learn(
        examples_of([lead for lead in [*early, *late] if lead.at >= before.learned_until]),
        horizon_days=HORIZON,
        half_life_days=HALF_LIFE,
        before=unpack_coefficients(pack_coefficients(before.coefficients)),
    )
    full = learn_from(early + late)
    came = outcomes(others)
    full_auc, fresh_auc = (roc_auc_score(came, predictions(each, others)) for each in (full, fresh))
    assert fresh_auc > full_auc - 0.01
    assert fresh.report.strength is None
    assert fresh.learned_until > before.learned_until


def test_a_refresh_weighs_what_was_known_with_how_sure_that_was(learned: Learned) -> None:
    few = examples_of(population(400, seed=6))
    fresh, unchanged = refresh(learned.coefficients, few), refresh(learned.coefficients, few.take(slice(0, 0)))
    alone, _ = fit(few, learned.coefficients.columns)
    demo = list(learned.coefficients.columns.amounts).index("demo_request") - len(learned.coefficients.columns.amounts)
    known = learned.coefficients.mean[demo]
    assert abs(fresh.mean[demo] - known) < abs(alone.mean[demo] - known)
    assert fresh.precision[demo, demo] > learned.coefficients.precision[demo, demo]
    assert unchanged.mean == pytest.approx(learned.coefficients.mean)


@pytest.mark.parametrize(
    ("levels", "amounts"),
    [({"lead.shoe_size": ("44", "45")}, ()), ({}, ("handshake",)), ({}, ("won",))],
)
def test_a_model_with_inputs_of_another_release_is_not_refreshed(
    levels: dict[str, tuple[str, ...]], amounts: tuple[Any, ...]
) -> None:
    foreign = Coefficients(Columns(levels, amounts), np.zeros(3), np.eye(3))
    with pytest.raises(JobRefused, match="train a new one"):
        unpack_coefficients(pack_coefficients(foreign))


def test_no_lead_that_was_learned_from_had_its_horizon_reach_into_the_leads_it_is_measured_on(
    leads: list[SyntheticLead],
) -> None:
    split = split_by_time(examples_of(leads), HORIZON)
    assert split.training.at.max() + HORIZON * DAY < split.calibration.at.min()
    assert split.calibration.at.max() < split.evaluation.at.min()
    kept = len(split.training) + len(split.calibration) + len(split.evaluation)
    assert kept + split.still_open == len(leads)


def test_too_few_outcomes_are_refused_with_the_numbers() -> None:
    with pytest.raises(JobRefused, match=r"training has \d+ leads with the outcome and \d+ without, and needs 50"):
        learn_from(population(200, seed=7))


def test_outcomes_of_one_sort_only_are_refused() -> None:
    winners = [lead for lead in population(5000, seed=8) if lead.won_at is not None]
    with pytest.raises(JobRefused, match="and 0 without"):
        learn_from(winners)


def test_leads_that_are_all_alike_are_refused() -> None:
    alike = population(1, seed=9)[0]
    collector = ExampleCollector(HALF_LIFE)
    for number in range(1000):
        at = END - timedelta(days=300) + number * timedelta(hours=7)
        collector.add(alike.profile, (), at, is_good=number % 3 == 0, points=0.0)
    with pytest.raises(JobRefused, match="nothing to tell them apart"):
        learn(collector.collect(), horizon_days=HORIZON, half_life_days=HALF_LIFE)


def test_an_order_that_newer_leads_turn_around_is_refused() -> None:
    turned = ExampleCollector(HALF_LIFE)
    for number, lead in enumerate(population(4000, seed=10)):
        is_demo = any(activity.kind == "demo_request" for activity in lead.activities)
        turned.add(lead.profile, lead.activities, lead.at, is_good=is_demo is (number < 2800), points=0.0)
    with pytest.raises(JobRefused, match="no better order than chance"):
        learn(turned.collect(), horizon_days=HORIZON, half_life_days=HALF_LIFE)


def test_no_leads_are_refused() -> None:
    with pytest.raises(JobRefused, match="training has 0 leads"):
        learn_from([])


def test_a_level_too_rare_to_learn_from_has_no_coefficient_of_its_own(learned: Learned) -> None:
    rare = population(3000, seed=11)
    collector = ExampleCollector(HALF_LIFE)
    for number, lead in enumerate(rare):
        profile = lead.profile
        country = "LI" if number in {5, 6, 7} else profile.lead.country
        changed = type(profile)(
            origin=profile.origin, lead=type(profile.lead)(country=country), facts=profile.facts, has_gpc=False
        )
        collector.add(changed, lead.activities, lead.at, is_good=lead.won_at is not None, points=0.0)
    model = learn(collector.collect(), horizon_days=HORIZON, half_life_days=HALF_LIFE).model
    assert "LI" not in model.levels["lead.country"]
    assert OTHER in model.levels["lead.country"]


def test_measures_agree_with_scikit_learn_ties_included() -> None:
    draw = np.random.default_rng(12)
    probability = np.round(draw.random(500), 2)
    came = draw.random(500) < probability
    points = np.round(draw.random(500) * 5)
    measures = measure(probability, came, points)
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    assert measures.auc.value == pytest.approx(roc_auc_score(came, probability))
    assert measures.pr_auc.value == pytest.approx(average_precision_score(came, probability))
    assert measures.brier.value == pytest.approx(brier_score_loss(came, probability))
    assert measures.log_loss.value == pytest.approx(log_loss(came, clipped))
    assert measures.rule_auc.value == pytest.approx(roc_auc_score(came, points))
    bands = [
        Band(leads=each.leads, positives=round(each.observed * each.leads), predicted=each.predicted)
        for each in measures.reliability
    ]
    assert measures.ece.value == pytest.approx(expected_calibration_error(bands))
    assert measures.auc.low < measures.auc.value < measures.auc.high
