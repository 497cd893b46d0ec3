"""Percentiles, exact and estimated."""

import math

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from local_stack.demo.speed import SPEED_TO_LEAD, between, count_of, estimate, percentile, read_buckets


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.9, 4.0), (0.99, 4.0), (0.25, 1.0), (0.0, 1.0)])
def test_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_estimate_is_interpolated_within_its_bucket() -> None:
    buckets = {0.1: 0.0, 0.2: 10.0, 0.4: 10.0, math.inf: 10.0}
    assert estimate(buckets, 0.5) == pytest.approx(0.15)


def test_estimate_in_the_first_bucket_starts_at_zero() -> None:
    assert estimate({0.1: 4.0, math.inf: 4.0}, 0.5) == pytest.approx(0.05)


def test_estimate_beyond_the_last_bound_is_that_bound() -> None:
    assert estimate({0.1: 1.0, math.inf: 100.0}, 0.99) == 0.1


def test_buckets_of_one_stage_are_read_from_a_metrics_page() -> None:
    registry = CollectorRegistry()
    histogram = Histogram(SPEED_TO_LEAD, "Speed.", ["stage"], buckets=(0.1, 1.0), registry=registry)
    histogram.labels("captured").observe(0.05)
    histogram.labels("captured").observe(5.0)
    histogram.labels("scored").observe(0.5)
    assert read_buckets(generate_latest(registry).decode(), "captured") == {0.1: 1.0, 1.0: 1.0, math.inf: 2.0}


def test_stage_that_nothing_reached_yet_has_no_buckets() -> None:
    assert read_buckets("", "captured") == {}
    assert count_of({}) == 0


def test_only_what_came_between_two_readings_counts() -> None:
    assert between({0.1: 1.0, math.inf: 2.0}, {0.1: 1.0, math.inf: 5.0}) == {0.1: 0.0, math.inf: 3.0}
    assert between({}, {0.1: 1.0, math.inf: 2.0}) == {0.1: 1.0, math.inf: 2.0}
