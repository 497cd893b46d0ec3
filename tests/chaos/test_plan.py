"""Plans come from their seed alone, and the shortest failing list is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .plan import KINDS, find_kinds, make_plan
from .shrink import shrink

PLAN_OF_SEED_1 = "from tests.chaos.plan import make_plan; print([str(step) for step in make_plan('1', 60)])"
ROOT = Path(__file__).parents[2]
FEW = settings(max_examples=25, deadline=None)
EVERY_CARD = sum(kind.weight for kind in KINDS.values())


@FEW
@given(seed=st.text(), faults=st.integers(1, 120), is_long=st.booleans())
def test_same_seed_gives_the_same_plan(seed: str, faults: int, is_long: bool) -> None:
    plans = [make_plan(seed, faults, is_long=is_long) for _ in range(2)]
    assert plans[0] == plans[1]
    assert len(plans[0]) == faults


@FEW
@given(seed=st.text(), faults=st.integers(1, 60), more=st.integers(1, 60))
def test_plan_of_more_faults_begins_with_the_plan_of_fewer(seed: str, faults: int, more: int) -> None:
    assert make_plan(seed, faults + more)[:faults] == make_plan(seed, faults)


def test_another_process_makes_the_same_plan() -> None:
    made = subprocess.run(
        [sys.executable, "-c", PLAN_OF_SEED_1],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == str([str(step) for step in make_plan("1", 60)])


@FEW
@given(seed=st.text())
def test_every_kind_comes_before_any_comes_out_of_turn(seed: str) -> None:
    assert find_kinds([make_plan(seed, EVERY_CARD)]) == set(KINDS)


@FEW
@given(seed=st.text(), kind=st.sampled_from(sorted(KINDS)))
def test_plan_of_one_kind_holds_only_that_kind_and_can_be_written_down(seed: str, kind: str) -> None:
    plan = make_plan(seed, 5, [kind])
    assert find_kinds([plan]) == {kind}
    assert [json.loads(json.dumps(step.as_json()))["fault"]["kind"] for step in plan] == [kind] * 5


@FEW
@given(st.sets(st.integers(0, 59), min_size=1, max_size=4))
def test_shortest_failing_list_is_found_whatever_causes_the_failure_together(culprits: set[int]) -> None:
    assert set(shrink(range(60), lambda part: culprits <= set(part), 1_000)) == culprits


@FEW
@given(st.integers(0, 39))
def test_single_culprit_among_forty_is_found_within_sixteen_tries(culprit: int) -> None:
    assert shrink(range(40), lambda part: culprit in part, 16) == [culprit]


@pytest.mark.parametrize("most_tries", range(12))
def test_bounded_shrinking_still_returns_a_list_that_fails(most_tries: int) -> None:
    tried: list[list[int]] = []

    def fails(part: list[int]) -> bool:
        tried.append(part)
        return {3, 17, 29} <= set(part)

    assert {3, 17, 29} <= set(shrink(range(32), fails, most_tries))
    assert len(tried) <= most_tries
