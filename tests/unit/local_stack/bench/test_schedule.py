import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.bench.schedule import due_times


@given(count=st.integers(1, 500), rate=st.floats(1, 10_000), seed=st.integers(0, 100))
@settings(max_examples=60)
def test_requests_are_due_in_order_and_end_with_the_asked_rate(count, rate, seed) -> None:
    due = due_times(count, rate, seed=seed)
    assert due == sorted(due)
    assert due[-1] == pytest.approx(count / rate)


def test_gaps_vary_like_those_of_independent_senders() -> None:
    due = due_times(20_000, 100, seed=1)
    gaps = [after - before for before, after in itertools.pairwise(due)]
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)


def test_without_a_rate_everything_is_due_at_once() -> None:
    assert due_times(3, 0, seed=1) == [0.0, 0.0, 0.0]
