"""Merging a lead's fields, balancing the ledger, hiding what a payload says."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.ledger import balance, differences, state_after
from ingest.domain.merge import MAX_CUSTOM_FIELDS, KnownLead, merge_lead
from ingest.domain.records import STATES
from ingest.domain.redaction import redact
from shared.contracts import Lead, LeadUnassigned
from shared.testing.builders import NOON, make_assigned, make_lead, make_origin

LATER = NOON + timedelta(minutes=1)


def test_the_newest_value_wins_and_an_empty_one_does_not():
    known = merge_lead(None, make_lead(title="Cook", city="Bonn"), NOON)
    merged = merge_lead(known, Lead(title="Chef"), LATER)
    assert (merged.lead.title, merged.lead.city, merged.latest_at) == ("Chef", "Bonn", LATER)


def test_a_submission_that_comes_late_only_fills_gaps():
    known = merge_lead(None, Lead(title="Chef"), LATER)
    merged = merge_lead(known, Lead(title="Cook", city="Bonn"), NOON)
    assert (merged.lead.title, merged.lead.city, merged.latest_at) == ("Chef", "Bonn", LATER)


def test_custom_fields_merge_up_to_their_limit_and_the_newer_stay():
    old = KnownLead(lead=Lead(custom={f"old{n}": "1" for n in range(MAX_CUSTOM_FIELDS)}), latest_at=NOON)
    merged = merge_lead(old, Lead(custom={"new": "2", "old0": "3"}), LATER)
    assert len(merged.lead.custom) == MAX_CUSTOM_FIELDS
    assert (merged.lead.custom["new"], merged.lead.custom["old0"]) == ("2", "3")


texts = st.none() | st.sampled_from(["a", "b"])


@settings(max_examples=100, deadline=None)
@given(titles=st.lists(st.tuples(texts, st.integers(0, 5)), min_size=1, max_size=5))
def test_the_same_submission_twice_changes_nothing(titles: list[tuple[str | None, int]]):
    known: KnownLead | None = None
    for title, minute in titles:
        known = merge_lead(known, Lead(title=title), NOON + timedelta(minutes=minute))
        assert merge_lead(known, Lead(title=title), NOON + timedelta(minutes=minute)).latest_at == known.latest_at
    assert known is not None
    assert (known.lead.title is None) == all(title is None for title, _ in titles)


def test_the_ledger_balances_when_the_states_add_up():
    counters = {"accepted": 6, "in_flight": 1, "assigned": 2, "activity": 1, "ignored": 1, "discarded": 1}
    result = balance(counters)
    assert (result.is_balanced, result.mapped, result.imbalance) == (True, 3, 0)


def test_a_lost_record_is_an_imbalance():
    assert balance({"accepted": 6, "assigned": 5}).imbalance == 1


def test_a_state_below_zero_is_no_balance():
    assert not balance({"accepted": 1, "assigned": 2, "in_flight": -1}).is_balanced


def test_a_recount_names_the_counters_that_are_wrong():
    assert differences({"accepted": 3, "assigned": 2}, {"accepted": 3, "assigned": 1, "parked": 1}) == {
        "assigned": 1, "parked": -1,
    }  # fmt: skip


def test_every_end_of_a_lead_has_a_state_of_the_ledger():
    unassigned = LeadUnassigned(lead_id="l", origin=make_origin(), reason="fallback_queue")
    assert (state_after(make_assigned()), state_after(unassigned)) == ("assigned", "unassigned")
    assert {state_after(make_assigned()), state_after(unassigned)} <= set(STATES)


def test_a_redacted_payload_shows_shapes_and_names_only():
    payload = {"email": "jill@example.com", "n": 42, "ok": True, "list": ["+49 30 5"], "jill@example.com": None}
    assert redact(payload) == {
        "email": "xxxx@xxxxxxx.xxx", "n": 0, "ok": True, "list": ["+00 00 0"], "xxxx@xxxxxxx.xxx": None,
    }  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(text=st.text(min_size=1))
def test_no_letter_or_digit_survives_redaction(text: Any):
    shape = redact({"field": text})["field"]
    assert not any(character.isalnum() and character not in "x0" for character in shape)
