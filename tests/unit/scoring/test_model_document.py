"""A model document that means nothing is refused, with a JSON pointer to each fault."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
import yaml

from scoring.model_document import default_model_text, load_model, parse_model
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


def account(*, cap: float = 10, **fields: object) -> dict[str, Any]:
    """What colleagues did, as one signal."""
    return {"cap": cap, "signals": [{"id": "colleague", "activity": "demo_request", "points": 10, **fields}]}


def rule(number: int, when: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"rule_{number}", "points": 1, "when": when}


def title_is(*values: str) -> dict[str, Any]:
    return {"field": "lead.title", "is_in": list(values)}


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
        (
            "/fit/company_size/rules/0/when",
            {"field": "lead.employees", "at_least": 3.2, "at_most": 3.8},
            "/fit/company_size/rules/0/when",
        ),
        (
            "/fit/job_title/rules/0/when",
            {"all": [{"field": "facts.seniority", "is_in": [one]} for one in ("vp", "manager")]},
            "/fit/job_title/rules/0/when",
        ),
        (
            "/negative/competitor/rules/0/when",
            {"all": [{"field": "lead.title", "is_set": False}, {"field": "lead.title", "is_in": ["Spy"]}]},
            "/negative/competitor/rules/0/when",
        ),
        (
            "/fit/job_title/rules/3/when",  # director: as broad as the two above it together
            {"field": "facts.seniority", "is_in": ["c_level", "vp"]},
            "/fit/job_title/rules/3",
        ),
        (
            "/fit/company_size/rules/4/when",  # 2_to_10, for sizes that better rules cover without a gap
            {"field": "lead.employees", "at_least": 100, "at_most": 600},
            "/fit/company_size/rules/4",
        ),
        (
            "/fit/industry_fit/rules/3/when",
            {"field": "lead.industry", "has_words": ["retail banking", "pension insurance"]},
            "/fit/industry_fit/rules/3",
        ),
        ("/fit/industry_fit/rules/3/when/has_words/0", " education", "/fit/industry_fit/rules/3/when/has_words/0"),
        (
            "/fit/job_title/rules/0/when",
            {"field": "lead.title", "is_in": ["Owner", "Boss "]},
            "/fit/job_title/rules/0/when/is_in/1",
        ),
        (
            "/fit/job_title/rules/0/when",
            {"field": "lead.country", "is_in": ["DE", "at", "Germany"]},
            "/fit/job_title/rules/0/when/is_in/2",
        ),
        (
            "/fit/job_title/rules/0/when",
            {"field": "lead.country", "is_in": ["D1"]},
            "/fit/job_title/rules/0/when/is_in/0",
        ),
        (
            "/fit/company_size/rules/0/when",
            {"field": "lead.employees", "at_most": -1},
            "/fit/company_size/rules/0/when/at_most",
        ),
        ("/fit/job_title/choose", "most", "/fit/job_title/choose"),
        ("/engagement/demo_requests/cap", 29, "/engagement/demo_requests/cap"),
        ("/engagement/website_visits/cap", 500, "/engagement/website_visits/cap"),
        ("/engagement/intent/signals/0/look_back_days", 0, "/engagement/intent/signals/0/look_back_days"),
        ("/engagement/intent/signals/0/look_back_days", 0.04, "/engagement/intent/signals/0/look_back_days"),
        ("/engagement/intent/signals/0/half_life_days", 0.04, "/engagement/intent/signals/0/half_life_days"),
        ("/engagement/intent/signals/0/activity", "won", "/engagement/intent/signals/0/activity"),
        ("/engagement/intent/signals/0/look_back_days", -7, "/engagement/intent/signals/0/look_back_days"),
        ("/engagement/intent/signals/0/look_back_days", 4000, "/engagement/intent/signals/0/look_back_days"),
        ("/engagement/product_usage/signals/0/where", {"seats": []}, "/engagement/product_usage/signals/0/where/seats"),
        ("/engagement/demo_requests/signals/0/half_life_days", 0, "/engagement/demo_requests/signals/0/half_life_days"),
        ("/engagement/demo_requests/signals/0/activity", "yawn", "/engagement/demo_requests/signals/0/activity"),
        ("/engagement/demo_requests/signals/0/points", -5, "/engagement/demo_requests/signals/0/points"),
        (
            "/engagement/website_visits/signals/0/at_most",
            {"times": 0},
            "/engagement/website_visits/signals/0/at_most/times",
        ),
        ("/negative/competitor/floor", -40, "/negative/competitor/floor"),
        ("/negative/competitor/floor", -60, "/negative/competitor/floor"),
        ("/negative/competitor/rules/0/points", 50, "/negative/competitor/rules/0/points"),
        ("/negative/unsubscribe/signals", [], "/negative/unsubscribe"),
        ("/negative/unsubscribe/signals/0/half_life_days", 14, "/negative/unsubscribe/signals/0/half_life_days"),
        ("/negative/unsubscribe/signals/0/look_back_days", 14, "/negative/unsubscribe/signals/0/look_back_days"),
        ("/negative/unsubscribe/signals/0/activity", "rejected", "/negative/unsubscribe/signals/0/activity"),
        ("/negative/job_title", {"floor": -1, "signals": []}, "/negative/job_title"),
        ("/account", {"cap": 10}, "/account/signals"),
        ("/account", account(cap=5), "/account/cap"),
        ("/account", account(points=-1), "/account/signals/0/points"),
        ("/account", account(half_life_days=0), "/account/signals/0/half_life_days"),
        ("/account", account(cap=1000, at_most={"times": 1, "days": 30}), "/account/cap"),
        ("/account", account(look_back_days=0.04), "/account/signals/0/look_back_days"),
        ("/account", account(activity="accepted"), "/account/signals/0/activity"),
        ("/account", account(activity="nap"), "/account/signals/0/activity"),
        ("/ranking", "mood", "/ranking"),
        ("/decay/half_life_days", 0, "/decay/half_life_days"),
        ("/decay/look_back_days", 0, "/decay/look_back_days"),
        ("/decay/half_life_days", 0.04, "/decay/half_life_days"),
        ("/decay/look_back_days", 0.04, "/decay/look_back_days"),
        ("/decay/half_life_days", float("inf"), "/decay/half_life_days"),
        ("/grades/A", 61, "/grades/A"),
        ("/grades/B", 50, "/grades"),
        ("/mql/threshold", 0, "/mql/threshold"),
        ("/mql/threshold", 101, "/mql/threshold"),
        ("/mql/hysteresis", 50, "/mql/hysteresis"),
        ("/mql/hysteresis", -1, "/mql/hysteresis"),
        ("/mql/grades", ["A", "A"], "/mql/grades"),
        ("/mql/grades", ["E"], "/mql/grades/0"),
        ("/mql/grades", [], "/mql/grades"),
        ("/name", "Not A Name", "/name"),
        ("/name", 7, "/name"),
        ("/description", "x" * 2001, "/description"),
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


@pytest.mark.parametrize("choose", ["sum", "best"])
def test_a_field_that_does_not_exist_is_refused_however_the_rules_are_chosen(choose: str) -> None:
    def change(document: dict[str, Any]) -> None:
        when = {"field": "lead.shoe_size", "is_in": ["42"]}
        document["fit"]["extra"] = {"cap": 1, "choose": choose, "rules": [rule(1, when)]}

    assert list(faults_after(change)) == ["/fit/extra/rules/0/when/field"]


def test_points_are_added_up_in_hundredths() -> None:
    document = yaml.safe_load(default_model_text())
    values = [title_is("Owner"), {"field": "lead.city", "is_in": ["Ulm"]}]
    rules = [rule(1, values[0]) | {"points": 0.7}, rule(2, values[1]) | {"points": 0.1}]
    document["fit"]["extra"] = {"cap": 0.8, "choose": "sum", "rules": rules}
    document["negative"]["taken"] = {
        "floor": -0.8,
        "rules": [deepcopy(each) | {"points": -each["points"]} for each in rules],
    }
    document["grades"]["A"] = 60.8
    assert parse_model(yaml.safe_dump(document, sort_keys=False)).name == "default"


def test_grades_that_no_lead_has_are_refused() -> None:
    def change(document: dict[str, Any]) -> None:
        document["grades"]["C"] = 0
        document["mql"] |= {"threshold": 20, "grades": ["D"]}

    assert list(faults_after(change)) == ["/mql/grades"]


def test_a_version_that_an_earlier_release_stored_still_loads() -> None:
    text = default_model_text().replace("half_life_days: 14", "half_life_days: 0.01")
    assert faults_of(text).keys() == {"/decay/half_life_days"}
    assert load_model(text).name == "default"


def test_bands_that_exclude_each_other_do_not_add_up() -> None:
    def change(document: dict[str, Any]) -> None:
        document["fit"]["company_size"] |= {"choose": "sum", "cap": 36}

    assert faults_after(change) == {"/fit/company_size/cap": "the cap 36 cannot be reached: the rules give at most 20"}


def test_a_threshold_that_no_lead_of_the_wanted_grades_reaches_is_refused() -> None:
    def change(document: dict[str, Any]) -> None:
        for group in document["engagement"].values():
            group |= {"cap": 1, "signals": [{"id": "any", "activity": "demo_request", "points": 1}]}
        document["mql"]["grades"] = ["C", "D"]

    assert list(faults_after(change)) == ["/mql/grades"]


def test_a_group_may_not_be_called_like_that_of_the_account() -> None:
    def change(document: dict[str, Any]) -> None:
        document["account"] = account()
        document["engagement"]["account"] = account()

    assert list(faults_after(change)) == ["/engagement/account"]


def test_what_colleagues_did_counts_only_where_the_document_says_so() -> None:
    document = yaml.safe_load(default_model_text())
    assert not parse_model(default_model_text()).has_account
    document["account"] = account(half_life_days=3)
    model = parse_model(yaml.safe_dump(document, sort_keys=False))
    assert (model.has_account, model.engagement[-1].name) == (True, "account")


@pytest.mark.parametrize("ranking", ["points", "probability"])
def test_a_document_says_what_leads_are_ordered_by(ranking: str) -> None:
    assert parse_model(default_model_text() + f"ranking: {ranking}\n").ranking == ranking


def test_a_signal_without_a_look_back_window_has_that_of_the_document() -> None:
    document = yaml.safe_load(default_model_text())
    document["decay"]["look_back_days"] = 90
    model = parse_model(yaml.safe_dump(document, sort_keys=False))
    windows = {signal.signal_id: signal.look_back for group in model.engagement for signal in group.signals}
    assert (windows["demo_request"], windows["pricing_page_view"]) == (timedelta(days=90), timedelta(days=60))


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
    document["engagement"]["interest"] = {
        "cap": 10,
        "signals": [
            {"id": "pricing_page", "activity": "website_visit", "points": 10, "where": {"page_group": ["pricing"]}}
        ],
    }
    model = parse_model(yaml.safe_dump(document, sort_keys=False))
    assert [signal.signal_id for signal in model.signals_of["website_visit"]] == ["website_visit", "pricing_page"]
