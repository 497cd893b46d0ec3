"""The policy document: what is accepted, and how a mistake is named."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml

from shared.documents import DocumentInvalid
from sla_monitor.domain.policies import Inputs, choose_policy, explain_choice, plan_deadline
from sla_monitor.policy_document import default_policies_text, parse_policies


def make_document(**parts) -> dict[str, Any]:
    return {
        "stages": [
            {"id": "assign", "starts_with": "capture"},
            {"id": "first_touch", "starts_with": "owner", "met_by": ["first_touch"]},
        ],
        "calendars": [{"id": "always", "always_open": True}],
        "policies": [make_policy()],
        **parts,
    }


def make_policy(**fields) -> dict[str, Any]:
    return {"id": "any", "stage": "first_touch", "calendar": "always", "target": "1h", **fields}


def make_calendar(**fields) -> dict[str, Any]:
    return {"id": "always", "week": {"monday": ["09:00-17:00"]}, **fields}


def make_inputs(**fields) -> Inputs:
    values = {
        "source_kind": "web_form",
        "source_key": "website",
        "is_new_lead": True,
        "country": "DE",
        "grade": "A",
        "is_mql": True,
        "points": 75.0,
    }
    return Inputs(**{**values, **fields})


def parse(document: dict[str, Any]):
    return parse_policies(yaml.safe_dump(document))


def pointers(document: dict[str, Any]) -> list[str]:
    with pytest.raises(DocumentInvalid) as raised:
        parse(document)
    return [error["pointer"] for error in raised.value.errors]


def test_the_shipped_document_times_every_lead_from_receipt():
    document = parse_policies(default_policies_text())
    assign = choose_policy(document, "assign", make_inputs(grade=None, is_mql=None, points=None))
    touch = choose_policy(document, "first_touch", make_inputs(country=None, grade="C", is_mql=False))
    assert assign is not None
    assert touch is not None
    assert touch.starts_at == "received"


def test_the_shipped_document_moves_the_hottest_leads_on():
    document = parse_policies(default_policies_text())
    policy = choose_policy(document, "first_touch", make_inputs(country="US"))
    assert policy is not None
    assert (policy.policy_id, policy.on_breach) == ("first_touch_hot_us", "reassign")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("15m", timedelta(minutes=15)),
        ("2h1s", timedelta(hours=2, seconds=1)),
    ],
)
def test_durations_are_read_as_hours_minutes_and_seconds(text, expected):
    assert parse(make_document(policies=[make_policy(target=text)])).policies[0].target == expected


@pytest.mark.parametrize("text", ["", "0m", "15", "-5m", "1d", "5m1h", "9999h", "1.5h", 15, None])
def test_a_wrong_duration_is_named_by_its_pointer(text):
    assert pointers(make_document(policies=[make_policy(target=text)])) == ["/policies/0/target"]


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ({"calendar": "nowhere"}, "/policies/0/calendar"),
        ({"stage": "nowhere"}, "/policies/0/stage"),
        ({"surprise": 1}, "/policies/0/surprise"),
        ({"at_risk": {"fraction": 0.5, "before": "1m"}}, "/policies/0/at_risk"),
        ({"at_risk": {"before": "1h"}}, "/policies/0"),
        ({"on_breach": {"action": "reassign"}}, "/policies/0/on_breach"),
        ({"on_breach": {"action": "notify", "max_reassignments": 1}}, "/policies/0/on_breach"),
        ({"when": {"country": ["Germany"]}}, "/policies/0/when/country/0"),
        ({"when": {"grade": []}}, "/policies/0/when/grade"),
        ({"stage": "assign", "when": {"is_mql": True}}, "/policies/0/when/is_mql"),
        ({"stage": "assign", "starts_at": "assigned"}, "/policies/0/starts_at"),
        (
            {"stage": "assign", "on_breach": {"action": "reassign", "max_reassignments": 1}},
            "/policies/0/on_breach/action",
        ),
    ],
)
def test_a_policy_that_cannot_work_is_refused_with_a_pointer(policy, pointer):
    assert pointers(make_document(policies=[make_policy(**policy)])) == [pointer]


@pytest.mark.parametrize(
    ("calendar", "pointer"),
    [
        ({"week": {}}, "/calendars/0"),
        ({"week": {"monday": []}}, "/calendars/0"),
        ({"always_open": True}, "/calendars/0"),
        ({"time_zone": "Europe/Atlantis"}, "/calendars/0/time_zone"),
        ({"time_zone": "../../etc/passwd"}, "/calendars/0/time_zone"),
        ({"week": {"monday": ["09:00-12:00", "11:00-13:00"]}}, "/calendars/0/week/monday"),
        ({"week": {"monday": ["09:00-24:30"]}}, "/calendars/0/week/monday/0"),
        ({"week": {"monday": ["9-5"]}}, "/calendars/0/week/monday/0"),
        ({"week": {"monday": [540]}}, "/calendars/0/week/monday/0"),
        ({"week": {"monday": ["22:00-06:00"], "tuesday": ["05:00-09:00"]}}, "/calendars/0"),
        ({"week": {"sunday": ["22:00-06:00"], "monday": ["05:00-09:00"]}}, "/calendars/0"),
        ({"holidays": {"country": "XX"}}, "/calendars/0/holidays"),
        ({"holidays": {"country": "DE", "subdivision": "ZZ"}}, "/calendars/0/holidays"),
        ({"special_days": [{"date": "2026-12-24", "shifts": []}]}, "/calendars/0/special_days/0/shifts"),
        ({"closed_days": [{"date": "soon"}]}, "/calendars/0/closed_days/0/date"),
    ],
)
def test_a_calendar_that_cannot_work_is_refused_with_a_pointer(calendar, pointer):
    assert pointers(make_document(calendars=[make_calendar(**calendar)])) == [pointer]


def test_a_target_that_the_calendar_does_not_hold_in_five_years_is_refused():
    calendar = make_calendar(week={"thursday": ["09:00-09:01"]})
    assert pointers(make_document(calendars=[calendar], policies=[make_policy(target="200h")])) == [
        "/policies/0/target"
    ]


def test_a_calendar_whose_every_working_day_is_closed_is_refused():
    mondays = [date(2026, 1, 5) + timedelta(weeks=week) for week in range(208)]
    closed = [{"date": day.isoformat()} for day in mondays]
    assert pointers(make_document(calendars=[make_calendar(closed_days=closed)])) == ["/calendars/0"]


def test_ids_are_unique_within_their_list():
    assert pointers(make_document(policies=[make_policy(), make_policy()])) == ["/policies/1/id"]


def test_a_stage_with_an_owner_needs_something_that_meets_it():
    stages = [{"id": "first_touch", "starts_with": "owner"}]
    assert pointers(make_document(stages=stages)) == ["/stages/0"]


@pytest.mark.parametrize("text", ["", "[]", "a: *b", "a: [", "stages: 1"])
def test_text_that_is_no_document_is_an_error_with_pointers_and_never_a_crash(text):
    with pytest.raises(DocumentInvalid):
        parse_policies(text)


def test_the_first_policy_whose_segment_fits_is_chosen_and_the_others_say_why_not():
    document = parse(
        make_document(
            policies=[
                make_policy(id="us", when={"country": ["US"]}),
                make_policy(id="hot", when={"points_at_least": 80}),
                make_policy(id="mql", when={"is_mql": True, "grade": ["A", "B"]}),
                make_policy(id="never_looked_at"),
            ]
        )
    )
    inputs = make_inputs()
    chosen = choose_policy(document, "first_touch", inputs)
    assert chosen is not None
    assert chosen.policy_id == "mql"
    assert [(tried.policy_id, tried.lost_by) for tried in explain_choice(document, "first_touch", inputs)] == [
        ("us", "country"),
        ("hot", "points_at_least"),
        ("mql", None),
    ]


@pytest.mark.parametrize(
    "condition",
    [
        {"country": ["DE"]},
        {"grade": ["A"]},
        {"is_mql": False},
        {"points_at_least": 0},
        {"points_below": 101},
    ],
)
def test_what_is_not_known_satisfies_no_condition(condition):
    document = parse(make_document(policies=[make_policy(when=condition)]))
    unknown = make_inputs(country=None, grade=None, is_mql=None, points=None)
    assert choose_policy(document, "first_touch", unknown) is None


def test_a_policy_says_when_it_is_at_risk_due_and_escalated():
    document = parse(make_document(policies=[make_policy(at_risk={"before": "15m"}, escalate_after="30m")]))
    start = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    deadline = plan_deadline(document.policies[0], start)
    assert deadline.at_risk_at - start == timedelta(minutes=45)
    assert deadline.due_at - start == timedelta(minutes=60)
    assert deadline.escalate_at is not None
    assert deadline.escalate_at - start == timedelta(minutes=90)
