"""What is proved of conditions holds for every lead, and what a person would see at a glance is proved."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.model_conditions import Reasoning, most_at_once
from scoring.model_document import compile_condition
from scoring.model_schema import ConditionPart
from shared.contracts import Facts, Lead

TEXTS = ["", "unknown", "vp", "VP", "vp sales", "sales", "head of sales", "c++", "Sales_VP"]


def condition(part: dict[str, Any]) -> ConditionPart:
    return ConditionPart.model_validate(part)


def field_is(name: str, *values: str) -> dict[str, Any]:
    return {"field": name, "is_in": list(values)}


def employees(at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    return {"field": "lead.employees", "at_least": at_least, "at_most": at_most}


words = st.lists(st.sampled_from(["vp", "unknown", "sales", "head of sales", "c++"]), min_size=1, max_size=3)
texts = st.lists(st.sampled_from([each for each in TEXTS if each]), min_size=1, max_size=3)
numbers = st.none() | st.integers(0, 6) | st.floats(0, 6)
tests = st.one_of(
    st.builds(lambda values: {"field": "lead.title", "is_in": values}, texts),
    st.builds(lambda values: {"field": "lead.title", "has_words": values}, words),
    st.builds(lambda wanted: {"field": "lead.title", "is_set": wanted}, st.booleans()),
    st.builds(lambda wanted: {"field": "lead.employees", "is_set": wanted}, st.booleans()),
    st.builds(lambda wanted: {"field": "facts.is_competitor", "is_true": wanted}, st.booleans()),
    st.builds(
        lambda values: {"field": "facts.seniority", "is_in": values},
        st.lists(st.sampled_from(["vp", "manager", "unknown"]), min_size=1, max_size=2),
    ),
    st.builds(employees, numbers, numbers).filter(lambda part: {part["at_least"], part["at_most"]} != {None}),
)
parts = st.recursive(
    tests,
    lambda inner: st.builds(
        lambda kind, several: {kind: several},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
).map(condition)
leads = st.tuples(
    st.builds(Lead, title=st.none() | st.sampled_from(TEXTS), employees=st.none() | st.integers(0, 6)),
    st.builds(Facts, seniority=st.sampled_from(["vp", "manager", "unknown"]), is_competitor=st.booleans()),
)
crowds = st.lists(leads, min_size=20, max_size=20)


@given(parts, parts, crowds)
@settings(max_examples=60, deadline=None)
def test_whoever_meets_a_condition_meets_what_it_is_said_to_imply(
    part: ConditionPart, other: ConditionPart, crowd: list[tuple[Lead, Facts]]
) -> None:
    if Reasoning().implies(part, other):
        meets, also_meets = compile_condition(part), compile_condition(other)
        assert all(also_meets(*lead) for lead in crowd if meets(*lead))


@given(parts, crowds)
@settings(max_examples=60, deadline=None)
def test_nobody_meets_what_is_said_to_be_impossible(part: ConditionPart, crowd: list[tuple[Lead, Facts]]) -> None:
    meets = compile_condition(part)
    assert not (Reasoning().is_impossible(part) and any(meets(*lead) for lead in crowd))


@given(tests.map(condition), st.lists(tests.map(condition), max_size=4), crowds)
@settings(max_examples=60, deadline=None)
def test_whoever_meets_a_covered_condition_meets_one_that_covers_it(
    part: ConditionPart, others: list[ConditionPart], crowd: list[tuple[Lead, Facts]]
) -> None:
    if Reasoning().is_covered(part, others):
        meets, covering = compile_condition(part), [compile_condition(each) for each in others]
        assert all(any(each(*lead) for each in covering) for lead in crowd if meets(*lead))


@given(st.lists(st.tuples(parts, st.integers(0, 9)), min_size=1, max_size=5), crowds)
@settings(max_examples=60, deadline=None)
def test_no_lead_gets_more_than_the_most_at_once(
    rules: list[tuple[ConditionPart, int]], crowd: list[tuple[Lead, Facts]]
) -> None:
    compiled = [(compile_condition(part), points) for part, points in rules]
    given_points = [sum(points for meets, points in compiled if meets(*lead)) for lead in crowd]
    assert max(given_points) <= most_at_once([(part, float(points)) for part, points in rules])


VP, MANAGER = field_is("facts.seniority", "vp"), field_is("facts.seniority", "manager")
TITLED, UNTITLED = ({"field": "lead.title", "is_set": wanted} for wanted in (True, False))


@pytest.mark.parametrize(
    "part",
    [
        employees(9, 3),
        employees(3.2, 3.8),
        {"all": [employees(1, 5), employees(6, 9)]},
        {"all": [VP, MANAGER]},
        {"all": [VP, {"any": [MANAGER, field_is("facts.seniority", "student")]}]},
        {"all": [UNTITLED, field_is("lead.title", "owner")]},
        {"all": [UNTITLED, {"all": [TITLED]}]},
        {"all": [VP, {"none": [field_is("facts.seniority", "vp", "director")]}]},
        {"any": [employees(9, 3), {"all": [VP, MANAGER]}]},
        {"all": [field_is("lead.title", "Clerk"), {"field": "lead.title", "has_words": ["owner", "partner"]}]},
        {"all": [{"field": "facts.is_competitor", "is_true": wanted} for wanted in (True, False)]},
    ],
)
def test_what_excludes_itself_is_impossible(part: dict[str, Any]) -> None:
    assert Reasoning().is_impossible(condition(part))


@pytest.mark.parametrize(
    ("part", "broader"),
    [
        ([employees(10, 20)], [employees(10)]),
        ([employees(10, 20)], [employees(1, 14), employees(15, 30)]),
        ([employees()| {"at_most": 20}], [employees(None, 9), employees(10, 14), employees(15)]),
        ([field_is("facts.seniority", "vp", "manager")], [VP, MANAGER]),
        ([field_is("lead.title", "Sales VP")], [{"field": "lead.title", "has_words": ["vp"]}]),
        ([{"field": "lead.title", "has_words": ["vp sales"]}], [{"field": "lead.title", "has_words": ["sales"]}]),
        ([{"all": [VP, TITLED]}], [VP]),
        ([VP], [{"any": [MANAGER, VP]}]),
        ([VP], [{"none": [MANAGER, field_is("facts.seniority", "unknown")]}]),
        ([{"none": [VP, MANAGER]}], [{"none": [VP]}]),
    ],
)  # fmt: skip
def test_a_broader_condition_covers_a_narrower_one(part: list[dict[str, Any]], broader: list[dict[str, Any]]) -> None:
    others = [condition(each) for each in broader]
    assert Reasoning().is_covered(condition(part[0]), others)
    assert not any(Reasoning().is_covered(each, [condition(part[0])]) for each in others if len(broader) == 1)


def test_what_is_too_much_to_compare_is_not_proved() -> None:
    many = {
        "any": [
            {"field": "lead.title", "has_words": [f"word {number} {each}" for number in range(200)]}
            for each in range(9)
        ]
    }
    assert not Reasoning(most_steps=1000).implies(
        condition({"all": [many]}), condition(many | {"any": many["any"][::-1]})
    )


def test_long_lists_are_paid_for_by_their_length() -> None:
    some, more = (condition(field_is("lead.title", *[f"word {each}" for each in range(count)])) for count in (400, 500))
    assert Reasoning().implies(some, more)
    assert not Reasoning(most_steps=800).implies(some, more)
    assert not Reasoning(most_steps=800).is_covered(some, [more])
    other = field_is("lead.title", *[f"other {each}" for each in range(500)])
    both = condition({"all": [some.model_dump(exclude_none=True), other]})
    assert Reasoning().is_impossible(both)
    assert not Reasoning(most_steps=800).is_impossible(both)


def test_pairs_of_tests_are_compared_only_while_there_are_steps_left() -> None:
    fields = {
        "all": [
            {"all": [{"field": f"lead.custom.f{n}_{each}", "is_set": True} for n in range(40)]} for each in range(40)
        ]
    }
    last = {"all": [*fields["all"], VP, MANAGER]}
    assert Reasoning(most_steps=10_000_000).is_impossible(condition(last))
    assert not Reasoning(most_steps=100_000).is_impossible(condition(last))


def test_texts_are_searched_for_words_at_the_price_of_their_length() -> None:
    words = {"field": "lead.title", "has_words": ["a"] * 100}
    short, long = (condition({"all": [words, field_is("lead.title", *[text] * 100)]}) for text in ("aa", "a" * 200))
    assert Reasoning().is_impossible(short)
    assert not Reasoning().is_impossible(long)
