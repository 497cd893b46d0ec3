import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.bench.percentiles import median_growth, median_of, percentile, summarise

seconds = st.floats(0, 100, allow_nan=False)


@given(values=st.lists(seconds, min_size=1), share=st.floats(0.01, 1))
@settings(max_examples=100)
def test_percentile_is_a_measured_value_that_enough_others_do_not_exceed(values, share) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(one <= found for one in ordered) >= share * len(ordered) - 1e-9


def test_percentiles_of_a_hundred_values_are_what_a_person_expects() -> None:
    latency = summarise(one / 1000 for one in range(1, 101))
    assert latency is not None
    assert (latency.p50, latency.p90, latency.p99, latency.max, latency.count) == (50, 90, 99, 100, 100)


def test_nothing_measured_has_no_percentiles() -> None:
    assert summarise([]) is None
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_run_that_measured_nothing_is_not_hidden_by_the_others() -> None:
    one = summarise([0.001])
    assert median_of([one, None, one]) is None
    assert median_of([]) is None


def test_median_is_taken_of_each_percentile_and_the_maximum_of_all_runs() -> None:
    folded = median_of([summarise([one]) for one in (0.001, 0.009, 0.002)])
    assert folded is not None
    assert (folded.p50, folded.p99, folded.max, folded.count) == (2, 2, 9, 3)


def test_steady_wait_does_not_grow_however_long_it_is() -> None:
    assert median_growth([(at, 5.0) for at in range(100)]) == 0


def test_wait_that_rises_with_time_shows_whatever_order_it_is_given_in() -> None:
    points = [(at, at / 100) for at in range(100)]
    assert median_growth(points[::-1]) == pytest.approx(0.5, abs=0.01)


def test_too_few_points_say_nothing() -> None:
    assert median_growth([(0, 0.0), (1, 9.0)]) == 0
