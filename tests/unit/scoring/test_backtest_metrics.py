"""The numbers of a backtest are what a hand calculation, or scikit-learn, says they are."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from scoring.backtest.calibration import Calibration, calibrate, choose_boundary, find_refusal
from scoring.backtest.drift import Half, measure_drift, size_band
from scoring.backtest.measures import (
    Band,
    band_of,
    expected_calibration_error,
    population_stability_index,
    quantile_edges,
    rank_bands,
    stability_by_chance,
    wilson_interval,
)
from scoring.backtest.resampling import Cells, Draws, count_cells, draw
from scoring.prediction.measures import Ranking

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
few = settings(max_examples=60, deadline=None)
counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 500), min_size=1).filter(
    lambda cells: sum(cells.values()) > 0
)


# Rates


@pytest.mark.parametrize(
    ("positives", "leads", "low", "high"),
    [
        (0, 10, 0.0, 0.277533),  # z² / (n + z²) = 3.841459 / 13.841459
        (10, 10, 0.722467, 1.0),
        (5, 10, 0.236593, 0.763407),
        (1, 20, 0.008881, 0.236131),
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), Statistics in Medicine 17, table I
        (15, 148, 0.0624, 0.1605),  # the same
    ],
)
def test_wilson_gives_the_published_intervals(positives: int, leads: int, low: float, high: float) -> None:
    assert wilson_interval(positives, leads) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("positives", "leads"), [(0, 0), (2, 1), (-1, 5)])
def test_there_is_no_rate_of_nothing(positives: int, leads: int) -> None:
    with pytest.raises(ValueError, match="no rate"):
        wilson_interval(positives, leads)


@few
@given(st.integers(1, 10_000).flatmap(lambda leads: st.tuples(st.integers(0, leads), st.just(leads))))
def test_wilson_holds_the_rate_and_stays_within_zero_and_one(rate: tuple[int, int]) -> None:
    positives, leads = rate
    low, high = wilson_interval(positives, leads)
    assert 0 <= low <= positives / leads <= high <= 1


# Bands


@pytest.mark.parametrize(
    ("sizes", "bands", "placed"),
    [
        ([1] * 10, 10, list(range(10))),
        ([10], 10, [5]),
        ([60, 20, 20], 10, [3, 7, 9]),
        ([1, 1, 1, 1], 2, [0, 0, 1, 1]),
        ([1, 2, 1], 2, [0, 1, 1]),
    ],
)
def test_equals_are_never_torn_apart(sizes: list[int], bands: int, placed: list[int]) -> None:
    assert rank_bands(sizes, bands) == placed


@few
@given(st.lists(st.integers(1, 50), min_size=1, max_size=80), st.integers(1, 20))
def test_bands_are_in_order_and_within_their_number(sizes: list[int], bands: int) -> None:
    placed = rank_bands(sizes, bands)
    assert placed == sorted(placed)
    assert 0 <= placed[0] <= placed[-1] < bands


def test_edges_cut_values_into_equal_parts() -> None:
    edges = quantile_edges(range(100), 10)
    assert edges == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert set(Counter(band_of(value, edges) for value in range(100)).values()) == {10}


@pytest.mark.parametrize(("values", "edges"), [([], []), ([7, 7, 7], []), ([0] * 9 + [5], [5])])
def test_edges_of_equals_are_few(values: list[float], edges: list[float]) -> None:
    assert quantile_edges(values, 10) == edges


# Drift


@pytest.mark.parametrize(
    ("reference", "current", "index"),
    [
        ({"a": 50, "b": 50}, {"a": 50, "b": 50}, 0.0),
        ({"a": 50, "b": 50}, {"a": 500, "b": 500}, 0.0),
        ({"a": 50, "b": 50}, {"a": 75, "b": 25}, 0.25 * log(1.5) - 0.25 * log(0.5)),
        ({"a": 100}, {"a": 50, "b": 50}, -0.5 * log(0.5) + (0.5 - 0.005) * log(0.5 / 0.005)),
    ],
)
def test_the_stability_index_is_the_sum_over_the_cells(
    reference: dict[str, int], current: dict[str, int], index: float
) -> None:
    assert population_stability_index(reference, current) == pytest.approx(index)


@few
@given(counts, counts)
def test_the_stability_index_is_symmetric_and_never_negative(first: dict[str, int], second: dict[str, int]) -> None:
    index = population_stability_index(first, second)
    assert 0 <= index < inf
    assert index == pytest.approx(population_stability_index(second, first))


@pytest.mark.parametrize(("reference", "current"), [({}, {"a": 1}), ({"a": 1}, {}), ({"a": 0}, {"a": 1})])
def test_an_empty_population_has_no_index(reference: dict[str, int], current: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="empty"):
        population_stability_index(reference, current)


@pytest.mark.parametrize(("cells", "quantile"), [(2, 3.841), (5, 9.488), (10, 16.919), (20, 30.144)])
def test_chance_alone_reaches_the_quantile_of_chi_squared(cells: int, quantile: float) -> None:
    assert stability_by_chance(cells, 1000, 1000) == pytest.approx(quantile / 500, rel=0.03)
    assert stability_by_chance(1, 10, 10) == 0


def test_one_population_exceeds_the_index_by_chance_once_in_twenty_times() -> None:
    chance = np.random.default_rng(3)
    shares = [0.4, 0.3, 0.2, 0.1]
    limit = stability_by_chance(4, 500, 400)
    exceeded = 0
    for _ in range(2000):
        first, second = (dict(enumerate(chance.multinomial(n, shares).tolist())) for n in (500, 400))
        exceeded += population_stability_index(named(first), named(second)) > limit
    assert 0.03 < exceeded / 2000 < 0.07


def named(cells: dict[int, int]) -> dict[str, int]:
    return {str(cell): number for cell, number in cells.items()}


def test_drift_names_the_input_that_moved_and_by_what() -> None:
    rows = measure_drift(
        half_of((100 * (n % 90), {"source": "web" if n % 2 else "ads"}) for n in range(1000)),
        half_of((100 * (n % 90), {"source": "web" if n % 10 else "ads"}) for n in range(1000)),
    )
    points, source = rows
    assert points["psi"] < 0.01
    assert source["psi"] == pytest.approx(0.4 * log(5) + 0.4 * log(1.8), abs=1e-4)
    assert source["moved_most"][0] == {"value": "ads", "first_share": 0.5, "second_share": 0.1}


def half_of(leads: Iterable[tuple[int, dict[str, str]]]) -> Half:
    half = Half()
    for points, values in leads:
        half.add(points, values)
    return half


def test_drift_of_few_leads_is_no_number() -> None:
    first, second = half_of([(0, {"source": "web"})] * 8), half_of([(9000, {"source": "ads"})] * 8)
    assert [(row["psi"], row["why"][:13]) for row in measure_drift(first, second)] == [(None, "too few leads")] * 2
    assert {row["why"] for row in measure_drift(first, Half())} == {"no leads in one half of the period"}
    assert [row["input"] for row in measure_drift(Half(), Half())] == ["points"]


def test_a_long_tail_of_values_is_one_value() -> None:
    many = half_of((0, {"country": f"C{n % 400}"}) for n in range(4000))
    _, country = measure_drift(many, many)
    assert country["psi"] == 0


def test_what_few_people_typed_is_not_shown() -> None:
    first = half_of([(0, {"industry": "retail"})] * 300 + [(0, {"industry": "ada lovelace"})] * 4)
    second = half_of([(0, {"industry": "retail"})] * 300 + [(0, {"industry": "energy"})] * 5)
    _, industry = measure_drift(first, second)
    assert {each["value"] for each in industry["moved_most"]} == {"retail", "energy", "(other)"}
    assert (industry["first"], industry["second"]) == (304, 305)


@pytest.mark.parametrize(
    ("employees", "band"),
    [(None, "unknown"), (0, "unknown"), (1, "1 to 10"), (10, "1 to 10"), (11, "11 to 50"), (90_000, "5001 or more")],
)
def test_sizes_fall_into_bands(employees: int | None, band: str) -> None:
    assert size_band(employees) == band


# Calibration


@pytest.mark.parametrize(
    ("bands", "error"),
    [
        ([Band(10, 5, 0.5)], 0.0),
        ([Band(10, 0, 1.0)], 1.0),
        ([Band(10, 2, 0.1), Band(30, 15, 0.7)], (10 * 0.1 + 30 * 0.2) / 40),
        ([Band(0, 0, 0.0), Band(4, 1, 0.25)], 0.0),
    ],
)
def test_the_calibration_error_weighs_each_band_with_its_leads(bands: list[Band], error: float) -> None:
    assert expected_calibration_error(bands) == pytest.approx(error)


def test_no_leads_have_no_calibration_error() -> None:
    with pytest.raises(ValueError, match="no leads"):
        expected_calibration_error([])


@few
@given(
    st.lists(
        st.tuples(st.integers(1, 100), st.floats(0, 1), st.floats(0, 1)).map(
            lambda drawn: Band(drawn[0], round(drawn[0] * drawn[1]), drawn[2])
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_calibration_error_lies_within_zero_and_one(bands: list[Band]) -> None:
    assert 0 <= expected_calibration_error(bands) <= 1 + 1e-12


def scored(size: int, seed: int, slope: float = 0.06) -> tuple[list[int], list[bool]]:
    """Return points (hundredths, whole points only: many are equal) and labels that depend on them."""
    chance = np.random.default_rng(seed)
    points = chance.integers(0, 60, size) * 100
    reached = chance.random(size) < 1 / (1 + np.exp(3 - slope * points / 100))
    return points.tolist(), reached.tolist()


def test_ranking_agrees_with_scikit_learn_ties_and_all() -> None:
    points, reached = scored(3000, seed=1)
    cells = count_cells([points], reached)
    ranking = Ranking(cells.points[0].astype(float), cells.labels)
    assert ranking.auc(cells.counts) == pytest.approx(roc_auc_score(reached, points))
    assert ranking.pr_auc(cells.counts) == pytest.approx(average_precision_score(reached, points))


def test_calibration_agrees_with_scikit_learn() -> None:
    fitting, judged = (count_cells([points], reached) for points, reached in (scored(3000, 2), scored(2000, 3)))
    calibration = calibrate(fitting, judged, 0)
    probability = np.repeat(calibration.probability, judged.counts.astype(int))
    reached = np.repeat(judged.labels, judged.counts.astype(int))
    statistics = draw(judged, calibration.statistics(""))
    assert statistics["brier"].value == pytest.approx(brier_score_loss(reached, probability))
    middles = (np.repeat(calibration.band, judged.counts.astype(int)) + 0.5) / 10
    rates, _ = calibration_curve(reached, middles, n_bins=10)
    assert [row["rate"] for row in calibration.reliability()] == pytest.approx(rates.tolist(), abs=1e-6)
    assert statistics["ece"].value < calibration.error_by_chance() < 0.06
    assert sum(row["leads"] for row in calibration.reliability()) == 2000
    said = [row["predicted"] for row in calibration.reliability()]
    assert said == sorted(said)


def test_a_mapping_learned_elsewhere_is_found_to_be_off() -> None:
    fitting, judged = count_cells([scored(3000, 4)[0]], scored(3000, 4)[1]), count_cells(*shifted())
    calibration = calibrate(fitting, judged, 0)
    assert draw(judged, calibration.statistics(""))["ece"].value > 3 * calibration.error_by_chance()


def shifted() -> tuple[list[list[int]], list[bool]]:
    points, reached = scored(3000, 5, slope=0.12)
    return [points], reached


def test_a_score_that_ranks_backwards_promises_everybody_the_same() -> None:
    points, reached = scored(2000, 6)
    backwards = count_cells([[6000 - each for each in points]], reached)
    calibration = calibrate(backwards, backwards, 0)
    assert np.ptp(calibration.probability) < 0.05


# Resamples


def test_the_interval_is_that_of_the_textbook() -> None:
    """Of a rate, whose standard error is known: sqrt(0.2 * 0.8 / 2000) = 0.00894."""
    cells = Cells(np.array([[0, 0]]), np.array([True, False]), np.array([400.0, 1600.0]))
    rate = draw(cells, {"rate": lambda weights: weights[0] / weights.sum()}, resamples=2000)["rate"]
    assert (rate.summary()["value"], rate.samples.std()) == (0.2, pytest.approx(0.00894, rel=0.06))
    assert rate.summary()["low"] == pytest.approx(0.2 - 1.96 * 0.00894, abs=0.002)


def test_the_same_leads_give_the_same_interval_in_any_order() -> None:
    points, reached = scored(500, seed=7)
    first = count_cells([points], reached)
    second = count_cells([points[::-1]], reached[::-1])
    measured = [
        draw(cells, {"auc": Ranking(cells.points[0].astype(float), cells.labels).auc})["auc"].summary()
        for cells in (first, second)
    ]
    assert measured[0] == measured[1]
    assert measured[0]["low"] < measured[0]["value"] < measured[0]["high"]


def test_a_difference_is_paired() -> None:
    """Two scores that differ a little on the same leads: the interval of the difference is narrower than of either."""
    points, reached = scored(1000, seed=8)
    other = [each + 100 * (number % 3) for number, each in enumerate(points)]
    cells = count_cells([points, other], reached)
    drawn = draw(cells, {str(n): Ranking(row.astype(float), cells.labels).auc for n, row in enumerate(cells.points)})
    difference = drawn["0"].minus(drawn["1"]).summary()
    assert difference["high"] - difference["low"] < 0.3 * (drawn["0"].samples.std() * 4)


def test_a_calibration_error_lies_within_its_own_interval_and_the_true_one_too() -> None:
    """Of a score that says exactly what comes the true error is 0; percentiles of resamples leave it out, and the value
    mostly too."""
    said = [number / 20 for number in range(1, 20)]
    held = 0
    for seed in range(20):
        chance = np.random.default_rng(seed)
        place = chance.integers(0, len(said), 2000)
        reached = chance.random(2000) < np.array(said)[place]
        cells = count_cells([place.tolist()], reached.tolist())
        calibration = Calibration(cells, np.array(said)[cells.points[0]], cells.points[0] // 2, [])
        error = draw(cells, calibration.statistics(""), resamples=200)["ece"]
        summary = error.summary(is_raised=True, lowest=0.0)
        assert 0 <= summary["low"] <= summary["value"] <= summary["high"]
        held += summary["low"] < 0.005
        assert error.summary()["low"] > 0.005
    assert held >= 16  # of percentiles: none


def test_the_difference_of_two_calibration_errors_may_be_of_either_sign() -> None:
    draws = Draws(-0.02, np.linspace(-0.03, 0.02, 400))
    summary = draws.summary(is_raised=True)
    assert [summary["low"], summary["high"]] == pytest.approx([-0.05875, -0.01125])


# The boundary between what is learned from and what is judged


def test_the_boundary_leaves_as_many_to_learn_from_as_to_judge() -> None:
    days = [NOON + timedelta(days=day) for day in range(100)]
    boundary = choose_boundary(days, timedelta(days=20))
    assert sum(day + timedelta(days=20) <= boundary for day in days) == 40
    assert sum(day >= boundary for day in days) == 41


@few
@given(st.lists(st.integers(0, 300), min_size=1, max_size=60).map(sorted), st.integers(1, 90))
def test_no_lead_is_judged_by_what_was_not_known_when_it_was_decided(hours: list[int], horizon: int) -> None:
    decided_at = [NOON + timedelta(hours=hour) for hour in hours]
    boundary = choose_boundary(decided_at, timedelta(hours=horizon))
    learned = [at for at in decided_at if at + timedelta(hours=horizon) <= boundary]
    judged = [at for at in decided_at if at >= boundary]
    assert len(judged) >= 1
    assert all(one + timedelta(hours=horizon) <= other for one in learned for other in judged)


@pytest.mark.parametrize(
    ("fitting", "judged", "sentence"),
    [
        (None, (50, 50), "0 leads, 0 of them with the outcome, had passed their horizon before 2026-06-01 12:00"),
        ((50, 50), (95, 5), "100 leads, 5 of them with the outcome, were decided from 2026-06-01 12:00"),
        ((50, 50), (5, 95), "100 leads, 95 of them"),
        ((50, 49), (50, 50), "99 leads"),
    ],
)
def test_too_few_leads_for_a_mapping_are_counted(
    fitting: tuple[int, int] | None, judged: tuple[int, int], sentence: str
) -> None:
    refusal = find_refusal(None if fitting is None else cells_of(*fitting), cells_of(*judged), NOON)
    assert refusal is not None
    assert refusal.startswith(sentence)
    assert find_refusal(cells_of(90, 10), cells_of(10, 90), NOON) is None


def cells_of(negatives: int, positives: int) -> Cells:
    return count_cells([[0] * (negatives + positives)], [False] * negatives + [True] * positives)


# The process that scores leads


def test_the_service_itself_does_without_numpy() -> None:
    """It is 150 MB of memory that only a job's own process needs."""
    look = "import sys, scoring.__main__; print(sorted({'numpy', 'scipy', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
