"""Which of the CRM's reports count, and the label they give a lead."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.outcomes.outcome import OUTCOME_KINDS, Goal, Outcome, OutcomeKind, label_at, reason_of, weigh
from shared.testing.builders import NOON

HORIZON = timedelta(days=30)


def at_day(day: float) -> datetime:
    return NOON + timedelta(days=day)


def make(kind: OutcomeKind, day: float, known: float | None = None, name: str = "") -> Outcome:
    return Outcome(
        activity_id=name or f"{kind}-{day}",
        kind=kind,
        occurred_at=at_day(day),
        known_at=at_day(day if known is None else known),
    )


def counting(*outcomes: Outcome) -> list[str]:
    return [weighed.outcome.activity_id for weighed in weigh(outcomes) if weighed.counts]


@pytest.mark.parametrize(
    ("outcomes", "standing"),
    [
        ([make("accepted", 1), make("opportunity", 2), make("won", 3)], ["accepted-1", "opportunity-2", "won-3"]),
        ([make("accepted", 1), make("rejected", 2)], ["rejected-2"]),
        ([make("rejected", 1), make("accepted", 2)], ["accepted-2"]),
        ([make("rejected", 1), make("opportunity", 2)], ["opportunity-2"]),
        ([make("opportunity", 1), make("rejected", 2)], ["opportunity-1", "rejected-2"]),
        ([make("won", 1), make("lost", 2)], ["lost-2"]),
        ([make("lost", 1), make("won", 2)], ["won-2"]),
        ([make("opportunity", 1), make("lost", 2)], ["opportunity-1", "lost-2"]),
        ([make("won", 1), make("won", 2)], ["won-1"]),
        ([make("won", 1), make("won", 2), make("lost", 3), make("won", 4)], ["won-4"]),
    ],
)
def test_of_reports_that_contradict_each_other_the_last_to_happen_counts(
    outcomes: list[Outcome], standing: list[str]
) -> None:
    for arrival in permutations(outcomes):
        assert counting(*arrival) == standing


def test_of_two_at_one_instant_the_one_known_last_counts() -> None:
    assert counting(make("won", 1, known=3), make("lost", 1, known=2)) == ["won-1"]


def test_a_clock_in_the_future_does_not_win() -> None:
    assert counting(make("won", 900, known=1), make("lost", 2)) == ["lost-2"]


def test_each_report_says_why_it_counts_or_not() -> None:
    won, again, lost = weigh([make("won", 1), make("won", 2), make("lost", 3)])
    assert won.why == "contradicted by 'lost' of 2026-11-27T10:00:00Z, which happened later"
    assert again.why == "said before, of 2026-11-25T10:00:00Z; the first report counts"
    assert lost.why == "nothing that happened later contradicts it"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(OUTCOME_KINDS)), st.integers(0, 5), st.integers(0, 5)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_and_the_order_of_arrival_changes_nothing(drawn, chance) -> None:
    outcomes = [make(kind, day, known=day + late, name=str(n)) for n, (kind, day, late) in enumerate(drawn)]
    weighed = weigh(outcomes)
    assert sorted(each.outcome.activity_id for each in weighed) == sorted(each.activity_id for each in outcomes)
    chance.shuffle(outcomes)
    assert weigh(outcomes) == weighed
    standing = {each.outcome.kind for each in weighed if each.counts}
    assert not {"won", "lost"} <= standing
    assert not {"accepted", "rejected"} <= standing
    assert bool(standing) == bool(outcomes)


@pytest.mark.parametrize(
    ("goal", "outcomes", "label"),
    [
        ("opportunity", [], False),
        ("opportunity", [make("opportunity", 1)], True),
        ("opportunity", [make("won", 1)], True),
        ("opportunity", [make("accepted", 1)], False),
        ("accepted", [make("won", 1)], True),
        ("accepted", [make("accepted", 1), make("rejected", 2)], False),
        ("won", [make("opportunity", 1)], False),
        ("won", [make("won", 1), make("lost", 2)], False),
        ("opportunity", [make("won", 1), make("lost", 2)], True),
        ("accepted", [make("won", 1), make("lost", 2)], True),
        ("opportunity", [make("lost", 2)], True),
        ("accepted", [make("lost", 2)], True),
        ("won", [make("lost", 2)], False),
        ("opportunity", [make("won", -1), make("lost", 2)], None),
        ("accepted", [make("won", -1), make("lost", 2)], None),
        ("won", [make("won", -2), make("lost", -1), make("won", 2)], True),
        ("accepted", [make("opportunity", 1), make("rejected", 2)], True),
        ("opportunity", [make("opportunity", 30)], True),
        ("opportunity", [make("opportunity", 30.01)], False),
        ("opportunity", [make("opportunity", 5, known=31)], False),
        ("won", [make("won", 5), make("lost", 6, known=31)], True),
        ("opportunity", [make("opportunity", -1)], None),
        ("opportunity", [make("opportunity", -1, known=2)], None),
        ("opportunity", [make("opportunity", 0)], None),
        ("won", [make("opportunity", -1), make("won", 3)], True),
        ("accepted", [make("accepted", -2), make("rejected", -1), make("accepted", 1)], True),
    ],
)
def test_a_label_looks_at_what_happened_and_was_known_within_the_horizon(
    goal: Goal, outcomes: list[Outcome], label: bool | None
) -> None:
    assert label_at(outcomes, goal, NOON, HORIZON) is label


@pytest.mark.parametrize(
    ("kind", "detail", "reason"),
    [
        ("rejected", {"reason": "no_budget"}, "no_budget"),
        ("lost", {"reason_code": "price"}, "price"),
        ("rejected", {"property": "hs_lead_status", "value": "BAD_TIMING"}, "BAD_TIMING"),
        ("opportunity", {"property": "lifecyclestage", "value": "opportunity"}, None),
        ("won", {"reason": "price"}, "price"),
        ("rejected", {"reason": "bud\x00get"}, "budget"),
        ("rejected", {"reason": "\x00"}, None),
        ("rejected", {}, None),
    ],
)
def test_the_reason_is_the_crms_code(kind: str, detail: dict[str, str], reason: str | None) -> None:
    assert reason_of(kind, detail) == reason
