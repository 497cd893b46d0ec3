"""A document that is too large or too deep is refused before it costs anything."""

from typing import Any

import pytest

from scoring.model_document import default_model_text

from .test_model_document import faults_after, faults_of, rule, set_at, title_is


@pytest.mark.parametrize("levels", [9, 20])
def test_conditions_that_nest_without_end_are_refused(levels: int) -> None:
    condition = title_is("Owner")
    for _ in range(levels):
        condition = {"all": [condition]}
    faults = faults_after(set_at("/fit/job_title/rules/0/when", condition))
    pointer = "/fit/job_title/rules/0/when" + 8 * "/all/0"
    assert "nested deeper" in faults[pointer]


@pytest.mark.parametrize("levels", [40, 30_000])
def test_text_that_nests_without_end_is_refused(levels: int) -> None:
    condition = levels * "{all: [" + "{field: lead.title, is_set: true}" + levels * "]}"
    text = default_model_text().replace("{field: facts.seniority, is_in: [vp]}", condition)
    assert faults_of(text) == {"": "nested deeper than 64 levels"}


def test_more_tests_than_a_lead_can_be_asked_are_refused() -> None:
    many = [rule(number, {"any": [title_is(f"{number} {each}") for each in range(40)]}) for number in range(52)]
    faults = faults_after(set_at("/fit/extra", {"cap": 1, "rules": many}))
    assert {pointer for pointer, detail in faults.items() if "more than 2000" in detail} == {"/fit/extra/rules/49"}


def test_more_signals_than_an_activity_can_be_asked_are_refused() -> None:
    def change(document: dict[str, Any]) -> None:
        document["engagement"] |= {
            f"extra_{group}": {
                "cap": 1,
                "signals": [{"id": f"s{number}", "activity": "email_open", "points": 1} for number in range(100)],
            }
            for group in range(6)
        }

    assert faults_after(change) == {"/engagement/extra_4/signals": "the document has more than 500 signals"}


def test_the_signals_of_colleagues_are_counted_too() -> None:
    def change(document: dict[str, Any]) -> None:
        one = {"activity": "email_open", "points": 1}
        document["account"] = {"cap": 1, "signals": [{"id": f"s{number}", **one} for number in range(100)]}
        document["engagement"] |= {
            f"extra_{group}": {"cap": 1, "signals": [{"id": f"s{number}", **one} for number in range(100)]}
            for group in range(4)
        }

    assert faults_after(change) == {"/account/signals": "the document has more than 500 signals"}


@pytest.mark.parametrize(
    ("own", "colleagues", "pointer"),
    [
        (10, 11, "/account/signals/10/activity"),
        (11, 10, "/negative/taken/signals/4/activity"),
        (15, 10, "/negative/taken/signals/4/activity"),
    ],
)
def test_more_signals_than_one_activity_may_have_are_refused(own: int, colleagues: int, pointer: str) -> None:
    def signals(count: int, points: float) -> list[dict[str, Any]]:
        return [{"id": f"s{number}", "activity": "demo_request", "points": points} for number in range(count)]

    def change(document: dict[str, Any]) -> None:  # the shipped model has one of this activity
        document["engagement"]["extra"] = {"cap": 1, "signals": signals(5, 1)}
        document["negative"]["taken"] = {"floor": -1, "signals": signals(own - 6, -1)}
        document["account"] = {"cap": 1, "signals": signals(colleagues, 1)}

    assert list(faults_after(change)) == [pointer]


def test_a_document_that_is_too_large_is_not_reasoned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.model_rules.Reasoning", None)
    many = [rule(number, {"any": [title_is(f"{number} {each}") for each in range(40)]}) for number in range(52)]
    assert list(faults_after(set_at("/fit/extra", {"cap": 1, "rules": many}))) == ["/fit/extra/rules/49"]


def test_of_countless_faults_a_hundred_are_named_and_the_others_counted() -> None:
    words = [" " for _ in range(250)]
    faults = faults_after(set_at("/fit/industry_fit/rules/0/when/has_words", words))
    assert (len(faults), faults[""]) == (101, "and 150 more faults")


def test_conditions_made_to_be_compared_without_end_do_not_hold_up_the_service() -> None:
    many = [
        rule(
            number,
            {"any": [{"field": "lead.title", "has_words": [f"word {each}" for each in range(500)]}, title_is("x")]},
        )
        for number in range(6)
    ]
    # Each outbids the next, which is too much to prove: only what is plain is refused.
    assert list(faults_after(set_at("/fit/extra", {"cap": 2, "rules": many}))) == ["/fit/extra/cap"]
