from datetime import timedelta

import pytest

from routing.document_text import parse_document
from routing.domain.decide import decode_trace, encode_trace, move_lead, place_lead, pools_of, route_lead
from routing.domain.decision import Assign, Hold, Move, Nurture, Queue, Retain, Tenure
from routing.domain.desk import Desk, LeadFile
from routing.domain.replay import Replayed, replay_trace
from routing.domain.roster import Load, Rep, Roster
from routing.reference import shifts_of
from shared.testing.builders import NOON, make_cleared, make_facts, make_lead, make_score, make_verdict

DOCUMENT = """
pools:
  - id: dach
    members: [{rep: ana, weight: 2}, {rep: bob}, {rep: nobody-knows}]
  - id: night
    members: [{rep: eve}]
    when_closed: fallback
  - id: empty
    members: [{team: no-such-team}]
rules:
  - {id: dach, pool: dach, when: {field: lead.country, in: [DE, AT]}}
  - {id: night, pool: night, when: {field: lead.country, eq: JP}}
  - {id: empty, pool: empty, when: {field: lead.country, eq: FR}}
"""


def make_rep(rep_id: str, **fields) -> Rep:
    return Rep(**{"rep_id": rep_id, "name": rep_id.title(), "team": "t", "time_zone": "UTC", **fields})


REPS = {"ana": make_rep("ana"), "bob": make_rep("bob"), "eve": make_rep("eve", shifts=())}


def make_desk(text: str = DOCUMENT, reps: dict[str, Rep] | None = None, **fields) -> Desk:
    return Desk(NOON, parse_document(text), "7", Roster(3, {**REPS, **(reps or {})}), **fields)


def make_tenure(rep_id: str = "ana", **fields) -> Tenure:
    values = {
        "assignment_id": "a-1", "lead_id": "l-1", "rep_id": rep_id, "rep_name": rep_id, "team": "t", "pool": "dach",
        "rule_id": "dach", "document_version": "7", "assigned_at": NOON,
    }  # fmt: skip
    return Tenure(**{**values, **fields})


def from_country(country: str, **fields):
    return make_cleared(lead=make_lead(country=country), facts=make_facts(company_domain=None), **fields)


def route(case, desk: Desk, **file):
    return route_lead(case, LeadFile(case.lead_id, case, **file), desk)


def test_a_lead_goes_to_the_pool_of_the_first_rule_that_matches():
    decision = route(from_country("DE"), make_desk())
    assert isinstance(decision, Assign)
    assert (decision.rep_id, decision.pool, decision.rule_id, decision.via) == ("ana", "dach", "dach", "rule")


def test_leads_of_one_batch_see_the_counters_the_earlier_ones_moved():
    desk = make_desk()
    assert [route(from_country("DE"), desk).rep_id for _ in range(6)] == ["ana", "bob", "ana", "ana", "bob", "ana"]
    assert desk.loads["ana"].open == 4
    assert desk.loads["ana"].given == 4


def test_a_lead_that_no_rule_takes_waits_in_the_fallback_queue():
    decision = route(from_country("US"), make_desk())
    assert isinstance(decision, Queue)
    assert (decision.reason, decision.rule_id) == ("no_rule", None)
    assert [tried.lost_because for tried in decision.trace.rules] == [
        'lead.country in [DE, AT]: was "US"',
        'lead.country eq "JP": was "US"',
        'lead.country eq "FR": was "US"',
    ]


def test_a_pool_without_members_sends_its_leads_to_the_fallback_queue():
    assert route(from_country("FR"), make_desk()).reason == "empty_pool"


def test_a_pool_that_is_closed_sends_leads_to_the_fallback_queue_if_its_policy_says_so():
    assert route(from_country("JP"), make_desk()).reason == "outside_working_hours"


def test_a_pool_that_is_closed_assigns_by_shares_if_its_policy_says_so():
    closed = {"ana": make_rep("ana", shifts=()), "bob": make_rep("bob", shifts=())}
    desk = make_desk(reps=closed)
    decisions = [route(from_country("DE"), desk) for _ in range(3)]
    assert [decision.rep_id for decision in decisions] == ["ana", "bob", "ana"]
    assert all(decision.trace.is_out_of_hours for decision in decisions)


def test_out_of_hours_caps_and_time_off_still_bind():
    reps = {"ana": make_rep("ana", shifts=(), max_open=0), "bob": make_rep("bob", shifts=())}
    assert route(from_country("DE"), make_desk(reps=reps)).rep_id == "bob"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_paused": True}, "paused"),
        ({"shifts": ()}, "outside_working_hours"),
        ({"max_open": 0}, "open_cap_reached"),
        ({"max_per_day": 0}, "daily_cap_reached"),
    ],
)
def test_a_member_who_cannot_take_the_lead_loses_with_the_reason_in_the_trace(fields, reason):
    decision = route(from_country("DE"), make_desk(reps={"ana": make_rep("ana", **fields)}))
    assert decision.rep_id == "bob"
    assert {tried.rep_id: tried.lost_because for tried in decision.trace.members} == {
        "ana": reason, "bob": None, "nobody-knows": "unknown_rep",
    }  # fmt: skip


def test_a_cap_that_fills_up_inside_a_batch_is_seen_by_the_next_lead():
    desk = make_desk(reps={"ana": make_rep("ana", max_open=1), "bob": make_rep("bob", max_open=1)})
    decisions = [route(from_country("DE"), desk) for _ in range(3)]
    assert [getattr(decision, "rep_id", "-") for decision in decisions] == ["ana", "bob", "-"]


def test_a_lead_below_the_threshold_is_nurtured():
    assert isinstance(route(from_country("DE", score=make_score(is_mql=False)), make_desk()), Nurture)


def test_without_the_nurture_policy_every_cleared_lead_is_assigned():
    desk = make_desk("nurture_below_mql: false\n" + DOCUMENT)
    assert isinstance(route(from_country("DE", score=make_score(is_mql=False)), desk), Assign)


def test_a_lead_with_an_owner_stays_with_it_even_below_the_threshold():
    decision = route(from_country("DE", score=make_score(is_mql=False)), make_desk(), owner=make_tenure("bob"))
    assert isinstance(decision, Retain)
    assert decision.owner.rep_id == "bob"


@pytest.mark.parametrize(("after", "outcome"), [(-1, Assign), (0, Hold), (1, Hold)])
def test_a_verdict_counts_only_if_it_was_given_after_the_withdrawal(after, outcome):
    case = from_country("DE", verdict=make_verdict(decided_at=NOON))
    assert isinstance(route(case, make_desk(), blocked_at=NOON + timedelta(seconds=after)), outcome)


def test_a_lead_of_a_company_with_an_owner_goes_to_that_owner():
    case = make_cleared(lead=make_lead(country="DE"), facts=make_facts(company_domain="acme.example"))
    decision = route(case, make_desk(accounts={"acme.example": "bob"}))
    assert (decision.rep_id, decision.via, decision.trace.account.lost_because) == ("bob", "account_owner", None)


def test_the_account_owner_rule_moves_no_pool_balance():
    desk = make_desk(accounts={"acme.example": "bob"})
    route(make_cleared(facts=make_facts(company_domain="acme.example")), desk)
    assert desk.changed_pools == set()
    assert desk.loads["bob"].open == 1


def test_free_mail_makes_nobody_a_colleague():
    facts = make_facts(company_domain="gmail.com", email_kind="free")
    assert route(make_cleared(facts=facts), make_desk(accounts={"gmail.com": "bob"})).via == "rule"


def test_an_account_owner_who_is_away_loses_with_the_reason_and_the_rules_decide():
    case = make_cleared(facts=make_facts(company_domain="acme.example"))
    decision = route(case, make_desk(reps={"bob": make_rep("bob", is_paused=True)}, accounts={"acme.example": "bob"}))
    assert (decision.rep_id, decision.via) == ("ana", "rule")
    assert decision.trace.account.lost_because == "paused"


def test_the_first_lead_of_a_company_makes_its_rep_the_account_owner_and_later_ones_do_not_change_it():
    desk = make_desk(accounts={"acme.example": None})
    desk.claim_account("acme.example", "ana")
    desk.claim_account("acme.example", "bob")
    assert desk.accounts == {"acme.example": "ana"}


def test_a_lead_that_was_not_worked_goes_to_anybody_but_its_owner():
    desk = make_desk(loads={"ana": Load(open=5)})
    decision = move_lead(from_country("DE"), make_tenure("ana"), "sla:first-touch", desk)
    assert isinstance(decision, Move)
    assert (decision.rep_id, decision.previous.rep_id) == ("bob", "ana")
    assert {tried.rep_id: tried.lost_because for tried in decision.trace.members}["ana"] == "previous_owner"
    assert (desk.loads["ana"].open, desk.loads["bob"].open) == (4, 1)


def test_a_lead_stays_with_a_late_owner_if_there_is_nobody_else():
    desk = make_desk(reps={"bob": make_rep("bob", is_paused=True)})
    assert isinstance(move_lead(from_country("DE"), make_tenure("ana"), "sla:x", desk), Retain)


def test_a_lead_its_owner_worked_does_not_free_capacity_twice():
    desk = make_desk(loads={"ana": Load(open=5)})
    move_lead(from_country("DE"), make_tenure("ana", is_worked=True), "sla:x", desk)
    assert desk.loads["ana"].open == 5


def test_a_person_may_overrule_hours_and_caps():
    desk = make_desk(reps={"eve": make_rep("eve", shifts=(), max_open=0)})
    decision = place_lead(LeadFile("l-1"), "eve", "person", desk)
    assert (decision.rep_id, decision.via, desk.loads["eve"].open) == ("eve", "person", 1)


def test_only_pools_that_a_case_can_fall_into_are_locked():
    document = parse_document(DOCUMENT)
    assert pools_of([from_country("DE"), from_country("US")], document) == {"dach"}


def test_a_trace_names_inputs_versions_counters_and_every_alternative():
    trace = route(from_country("AT"), make_desk(loads={"bob": Load(open=9)})).trace
    assert (trace.document_version, trace.roster_version, trace.decided_at) == ("7", 3, NOON)
    assert trace.inputs == {"lead.country": "AT"}
    assert [(tried.rule_id, tried.lost_because) for tried in trace.rules] == [("dach", None)]
    bob = next(tried for tried in trace.members if tried.rep_id == "bob")
    assert (bob.weight, bob.balance, bob.open, bob.lost_because, bob.behind) == (1, 0, 9, "later_turn", 0.333333)


def test_a_trace_survives_storage():
    trace = route(from_country("AT"), make_desk()).trace
    assert decode_trace(encode_trace(trace)) == trace


def test_every_decision_of_a_long_run_can_be_made_again_from_its_trace_alone():
    desk = make_desk(reps={"ana": make_rep("ana", max_open=40)})
    decisions = [route(from_country("DE"), desk) for _ in range(90)]
    replayed = [replay_trace(decode_trace(encode_trace(d.trace)), desk.document) for d in decisions]
    assert replayed == [Replayed(d.rule_id, d.rep_id) for d in decisions]


def test_a_queued_decision_can_be_made_again_too():
    desk = make_desk()
    assert replay_trace(route(from_country("US"), desk).trace, desk.document) == Replayed(None, None)
    assert replay_trace(route(from_country("FR"), desk).trace, desk.document) == Replayed("empty", None)


def test_a_decision_that_needed_no_rule_is_not_replayed():
    desk = make_desk()
    trace = route(from_country("DE", score=make_score(is_mql=False)), desk).trace
    assert replay_trace(trace, desk.document) is None


def test_shifts_of_nothing_is_always_at_work():
    assert shifts_of(None) is None
