"""A model document that means nothing is refused, with a JSON pointer to each fault."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scoring.model_document import default_model_text, parse_model
from shared.documents import DocumentInvalid

Change = Callable[[dict[str, Any]], object]


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(DocumentInvalid) as refused:
        parse_model(text)
    return {error["pointer"]: error["detail"] for error in refused.value.errors}


def faults_after(change: Change) -> dict[str, str]:
    document = yaml.safe_load(default_model_text())
    change(document)
    return faults_of(yaml.safe_dump(document, sort_keys=False))


def set_at(path: str, value: object) -> Change:
    *parents, last = [int(part) if part.isdigit() else part for part in path.strip("/").split("/")]

    def change(document: Any) -> None:
        for part in parents:
            document = document[part]
        document[last] = value

    return change


def test_the_shipped_model_is_valid() -> None:
    assert parse_model(default_model_text()).name == "default"


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        ("/fit/job_title/colour", "red", "/fit/job_title/colour"),
        ("/bonus", {}, "/bonus"),
        ("/fit/job_title/rules/0/pionts", 3, "/fit/job_title/rules/0/pionts"),
        ("/fit/job_title/cap", 20, "/fit/job_title/cap"),
        ("/fit/job_title/cap", 40, "/fit/job_title/cap"),
        ("/fit/job_title/cap", "25", "/fit/job_title/cap"),
        ("/fit/job_title/cap", float("nan"), "/fit/job_title/cap"),
        ("/fit/job_title/rules", [], "/fit/job_title/rules"),
        ("/fit/job_title/rules/1/id", "c_level", "/fit/job_title/rules/1/id"),
        ("/fit/job_title/rules/0/points", -1, "/fit/job_title/rules/0/points"),
        ("/fit/job_title/rules/0/points", 1.234, "/fit/job_title/rules/0/points"),
        (
            "/fit/job_title/rules/0/when",
            {"field": "lead.shoe_size", "is_set": True},
            "/fit/job_title/rules/0/when/field",
        ),
        ("/fit/job_title/rules/0/when", {"is_set": True}, "/fit/job_title/rules/0/when"),
        ("/fit/job_title/rules/0/when", {"field": "lead.title"}, "/fit/job_title/rules/0/when"),
        ("/fit/job_title/rules/0/when", {"all": []}, "/fit/job_title/rules/0/when/all"),
        (
            "/fit/job_title/rules/0/when",
            {"any": [{"field": "lead.title", "is_set": True}], "field": "lead.title"},
            "/fit/job_title/rules/0/when",
        ),
        (
            "/fit/job_title/rules/0/when",
            {"none": [{"field": "facts.seniority", "is_in": ["boss"]}]},
            "/fit/job_title/rules/0/when/none/0/is_in/0",
        ),
        (
            "/fit/job_title/rules/0/when",
            {"field": "lead.title", "at_least": 3},
            "/fit/job_title/rules/0/when/at_least",
        ),
        (
            "/fit/company_size/rules/0/when",
            {"field": "lead.employees", "at_least": 9, "at_most": 3},
            "/fit/company_size/rules/0/when/at_most",
        ),
        ("/engagement/demo_requests/cap", 29, "/engagement/demo_requests/cap"),
        ("/engagement/demo_requests/signals/0/half_life_days", 0, "/engagement/demo_requests/signals/0/half_life_days"),
        ("/engagement/demo_requests/signals/0/activity", "yawn", "/engagement/demo_requests/signals/0/activity"),
        ("/engagement/demo_requests/signals/0/points", -5, "/engagement/demo_requests/signals/0/points"),
        (
            "/engagement/website_visits/signals/0/at_most",
            {"times": 0},
            "/engagement/website_visits/signals/0/at_most/times",
        ),
        ("/negative/competitor/floor", -40, "/negative/competitor/floor"),
        ("/negative/competitor/rules/0/points", 50, "/negative/competitor/rules/0/points"),
        ("/negative/unsubscribe/signals", [], "/negative/unsubscribe"),
        ("/negative/unsubscribe/signals/0/half_life_days", 14, "/negative/unsubscribe/signals/0/half_life_days"),
        ("/negative/job_title", {"floor": -1, "signals": []}, "/negative/job_title"),
        ("/decay/half_life_days", 0, "/decay/half_life_days"),
        ("/decay/half_life_days", float("inf"), "/decay/half_life_days"),
        ("/grades/A", 61, "/grades/A"),
        ("/grades/B", 50, "/grades"),
        ("/mql/threshold", 0, "/mql/threshold"),
        ("/mql/threshold", 101, "/mql/threshold"),
        ("/mql/hysteresis", 50, "/mql/hysteresis"),
        ("/mql/hysteresis", -1, "/mql/hysteresis"),
        ("/mql/grades", ["A", "A"], "/mql/grades"),
        ("/mql/grades", ["E"], "/mql/grades/0"),
    ],
)
def test_a_fault_is_refused_where_it_stands(path: str, value: object, pointer: str) -> None:
    assert pointer in faults_after(set_at(path, value))


@pytest.mark.parametrize(
    ("half", "group"),
    [
        ("fit", "job_title"),
        ("fit", "company_size"),
        ("fit", "industry_fit"),
        ("engagement", "website_visits"),
        ("engagement", "content_downloads"),
        ("engagement", "email_engagement"),
        ("engagement", "webinar_attendance"),
        ("engagement", "demo_requests"),
        ("engagement", "trial_usage"),
        ("negative", "competitor"),
        ("negative", "student_email"),
        ("negative", "unsubscribe"),
    ],
)
def test_no_group_of_the_framework_may_be_missing(half: str, group: str) -> None:
    assert f"/{half}/{group}" in faults_after(lambda document: document[half].pop(group))


def test_all_faults_are_named_at_once() -> None:
    def change(document: dict[str, Any]) -> None:
        document["fit"].pop("job_title")
        document["mql"]["threshold"] = 0

    assert {"/fit/job_title", "/mql/threshold"} <= set(faults_after(change))


def test_conditions_that_nest_without_end_are_refused() -> None:
    condition: dict[str, Any] = {"field": "lead.title", "is_set": True}
    for _ in range(12):
        condition = {"all": [condition]}
    faults = faults_after(set_at("/fit/job_title/rules/0/when", condition))
    assert any("nested deeper" in detail for detail in faults.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- just\n- a list\n",
        "name: [unclosed",
        "a: &a [x]\nb: *a\n",
        "x: " + "[" * 2000,
        "x" * 600_000,
        "!!python/object/apply:os.system [echo]",
    ],
)
def test_text_that_is_no_document_is_refused(text: str) -> None:
    assert faults_of(text)


def test_a_key_that_stands_twice_is_refused() -> None:
    text = default_model_text() + "\nmql: {threshold: 60, hysteresis: 5, grades: [A]}\n"
    assert faults_of(text) == {"/mql": "this key stands twice"}


def test_a_group_of_ones_own_is_welcome() -> None:
    document = yaml.safe_load(default_model_text())
    document["engagement"]["intent"] = {
        "cap": 10,
        "signals": [
            {"id": "pricing_page", "activity": "website_visit", "points": 10, "where": {"page_group": ["pricing"]}}
        ],
    }
    model = parse_model(yaml.safe_dump(document, sort_keys=False))
    assert [signal.signal_id for signal in model.signals_of["website_visit"]] == ["website_visit", "pricing_page"]
