from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_stack.bench.mix import LATER_BY, SENDER_SHARES, SHARES, plan_mix

COUNT = 20_000


@pytest.mark.parametrize(("nature", "share"), SHARES.items())
def test_each_nature_has_its_share(nature, share) -> None:
    found = Counter(one.nature for one in plan_mix(COUNT, seed=1))
    assert found[nature] / COUNT == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("sender", "share"), SENDER_SHARES.items())
def test_each_sender_has_its_share_of_new_leads(sender, share) -> None:
    new = [one.sender for one in plan_mix(COUNT, seed=1) if one.nature == "new"]
    assert new.count(sender) / len(new) == pytest.approx(share, abs=0.02)


@given(count=st.integers(0, 1_000), seed=st.integers(0, 100))
@settings(max_examples=40)
def test_same_seed_gives_the_same_load(count, seed) -> None:
    assert plan_mix(count, seed=seed) == plan_mix(count, seed=seed)


@given(count=st.integers(1, 1_500), seed=st.integers(0, 100))
@settings(max_examples=40)
def test_nobody_comes_back_before_the_first_request_had_time(count, seed) -> None:
    first: dict[int, int] = {}
    for index, one in enumerate(plan_mix(count, seed=seed)):
        if one.nature == "new":
            assert one.person not in first
            first[one.person] = index
        elif one.nature != "invalid":
            assert first[one.person] <= index - LATER_BY


@given(seed=st.integers(0, 100))
@settings(max_examples=20)
def test_duplicate_repeats_a_first_request_of_the_same_person_and_sender(seed) -> None:
    planned = plan_mix(1_000, seed=seed)
    for one in planned:
        if one.nature == "duplicate":
            assert one.repeats is not None
            assert (planned[one.repeats].person, planned[one.repeats].sender) == (one.person, one.sender)
            assert planned[one.repeats].nature == "new"


def test_every_invalid_request_has_a_flaw_and_nothing_else_has() -> None:
    assert all((one.nature == "invalid") == (one.flaw is not None) for one in plan_mix(COUNT, seed=1))
