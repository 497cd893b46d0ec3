import json
from typing import Any

import pytest

from routing.domain.callback_body import MAX_BODY, describe_assignment, describe_withdrawal
from shared.contracts import Lead, Touch
from shared.testing.builders import NOON, make_cleared, make_lead, make_origin, make_owner


def body_of(case, previous=None) -> Any:
    raw = describe_assignment("lead.assigned", case, make_owner(), "rep@example.com", previous)
    assert len(raw) <= MAX_BODY
    return json.loads(raw)


def test_an_assignment_tells_a_crm_who_where_from_how_good_and_on_which_channels():
    body = body_of(make_cleared())
    assert body["type"] == "lead.assigned"
    assert body["data"]["lead"]["email"] == "dana.reyes@acme.example"
    assert body["data"]["owner"]["email"] == "rep@example.com"
    assert body["data"]["score"]["grade"] == "A"
    assert body["data"]["consent"]["channels"] == ["email", "phone"]
    assert {"assignment_id", "rule_id", "document_version"} <= body["data"]["assignment"].keys()


def test_a_reassignment_names_the_owner_before():
    previous = {"assignment_id": "a", "rep_id": "b", "reason": "sla"}
    assert body_of(make_cleared(), previous)["data"]["previous"] == previous


def test_extra_fields_that_make_a_body_too_long_are_left_out_and_said_to_be():
    body = body_of(make_cleared(lead=make_lead(custom={str(n): "x" * 100 for n in range(300)})))
    assert "custom" not in body["data"]["lead"]
    assert body["data"]["truncated"] == ["/lead/custom"]


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600", '"', "\x01"])
def test_a_body_stays_under_the_limit_whatever_a_sender_wrote(letter):
    long = letter * 30_000
    touch = Touch(**dict.fromkeys(Touch.__struct_fields__, long))
    texts = {name: long for name in Lead.__struct_fields__ if name not in {"employees", "custom"}}
    case = make_cleared(lead=make_lead(**texts), origin=make_origin(touch=touch))
    assert body_of(case)["data"]["truncated"] == ["/lead", "/source/touch"]


def test_a_withdrawal_names_ids_only():
    body = json.loads(describe_withdrawal("l", NOON, NOON, "a", "r"))
    assert body["data"] == {
        "lead_id": "l", "may_contact": False, "changed_at": "2026-11-24T10:00:00Z", "assignment_id": "a", "rep_id": "r",
    }  # fmt: skip
