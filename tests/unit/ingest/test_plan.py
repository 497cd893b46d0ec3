"""Who is who: identity, duplicates and what each record becomes, decided for a whole batch."""

import itertools
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.arrival import Arrival, IdentityKind, Known, KnownDelivery, KnownIdentity, Numbered, Plan, Result
from ingest.domain.plan import plan_batch
from ingest.domain.records import (
    ActivityRecord,
    ConsentRecord,
    IgnoredRecord,
    LeadRecord,
    Record,
    UnmappableRecord,
)
from shared.contracts import ActivityRecorded, ConsentSignal, Lead, LeadCaptured
from shared.testing.builders import NOON

_numbers = itertools.count()


def lead(email: str | None = None, phone: str | None = None, external: str | None = None, **fields: Any) -> Numbered:
    return numbered(
        LeadRecord(lead=Lead(email=email, phone=phone), external_id=external, **fields), email, phone, external
    )


def activity(email: str | None = None, external: str | None = None, **fields: Any) -> Numbered:
    record = ActivityRecord(
        lead=Lead(email=email), kind="trial_usage", occurred_at=NOON, external_id=external, **fields
    )
    return numbered(record, email, None, external)


def withdrawal(email: str | None = None, external: str | None = None) -> Numbered:
    signal = ConsentSignal(state="withdrawn", purposes=("marketing",), channels=("email",), at=NOON, method="event")
    return numbered(ConsentRecord(lead=Lead(email=email), signal=signal, external_id=external), email, None, external)


def numbered(
    record: Record, email: str | None = None, phone: str | None = None, external: str | None = None
) -> Numbered:
    n = next(_numbers)
    return Numbered(
        record_id=f"r{n}",
        fresh_lead_id=f"l{n}",
        ordinal=0,
        record=record,
        email=email,
        phone=phone,
        external=external,
    )


def arrival(*records: Numbered, **fields: Any) -> Arrival:
    values: dict[str, Any] = {
        "submission_id": f"s{next(_numbers)}",
        "source_key": "website",
        "source_kind": "web_form",
        "received_at": NOON,
        "records": records,
    }
    return Arrival(**{**values, **fields})


def known(**identities: tuple[str, bool]) -> Known:
    """``known(email_a=("L1", True))``: the e-mail ``a`` belongs to lead L1, whose e-mail is known."""
    return Known(
        identities={
            (cast("IdentityKind", name.partition("_")[0]), name.partition("_")[2]): KnownIdentity(
                lead_id=lead_id, has_email=has_email
            )
            for name, (lead_id, has_email) in identities.items()
        }
    )


def leads_of(plan: Plan) -> list[str | None]:
    return [result.lead_id for outcome in plan.outcomes for result in outcome.results]


def reasons_of(plan: Plan) -> list[str | None]:
    return [record.reason for record in plan.records]


def test_the_same_e_mail_in_one_batch_is_one_lead_and_only_the_first_is_new():
    plan = plan_batch([arrival(lead("a")), arrival(lead("a"))], Known())
    first, second = leads_of(plan)
    assert first == second
    assert [event.origin.is_new_lead for event, _ in plan.events if isinstance(event, LeadCaptured)] == [True, False]


def test_the_e_mail_decides_against_a_phone_that_says_otherwise():
    plan = plan_batch([arrival(lead("a", "1"))], known(email_a=("L1", True), phone_1=("L2", True)))
    assert leads_of(plan) == ["L1"]
    assert plan.identities == {}


def test_a_phone_alone_finds_its_lead():
    assert leads_of(plan_batch([arrival(lead(None, "1"))], known(phone_1=("L1", True)))) == ["L1"]


def test_a_new_e_mail_joins_a_lead_that_was_only_a_phone():
    plan = plan_batch([arrival(lead("a", "1"))], known(phone_1=("L1", False)))
    assert leads_of(plan) == ["L1"]
    assert plan.claimed_lead_ids == {"L1"}


def test_a_new_e_mail_on_the_phone_of_somebody_with_an_e_mail_is_somebody_else():
    plan = plan_batch([arrival(lead("b", "1"))], known(phone_1=("L1", True)))
    assert leads_of(plan) != ["L1"]
    assert ("phone", "1") not in plan.identities


def test_in_one_batch_the_first_e_mail_takes_the_phone_and_the_second_does_not():
    plan = plan_batch([arrival(lead(None, "1")), arrival(lead("a", "1")), arrival(lead("b", "1"))], Known())
    phone, first, second = leads_of(plan)
    assert phone == first != second


def test_the_senders_own_id_recognises_a_person_later():
    first = plan_batch([arrival(lead("a", external="zoom:1"))], Known())
    later = plan_batch([arrival(lead(None, external="zoom:1"))], Known(identities=first.identities))
    assert leads_of(later) == leads_of(first)


def test_an_activity_of_a_known_person_is_recorded():
    plan = plan_batch([arrival(activity("a"))], known(email_a=("L1", True)))
    [(event, _)] = plan.events
    assert isinstance(event, ActivityRecorded)
    assert (event.lead_id, event.activity_id, plan.records[0].state) == ("L1", plan.records[0].record_id, "activity")


def test_an_activity_of_an_unknown_person_starts_a_lead_that_carries_it():
    plan = plan_batch([arrival(activity("a"))], Known())
    [(event, _)] = plan.events
    assert isinstance(event, LeadCaptured)
    assert (event.activities, event.origin.is_new_lead) == (("trial_usage",), True)


def test_the_crms_word_on_somebody_who_never_came_is_ignored():
    assert reasons_of(plan_batch([arrival(activity(external="hubspot:1"))], Known())) == ["person_unknown"]


def test_a_withdrawal_of_an_unknown_address_is_kept_as_a_lead_with_the_withdrawal():
    [(event, _)] = plan_batch([arrival(withdrawal("a"))], Known()).events
    assert isinstance(event, LeadCaptured)
    assert [signal.state for signal in event.consent] == ["withdrawn"]


def test_a_withdrawal_of_a_known_person_is_an_unsubscribe():
    [(event, _)] = plan_batch([arrival(withdrawal("a"))], known(email_a=("L1", True))).events
    assert isinstance(event, ActivityRecorded)
    assert (event.kind, event.detail["state"]) == ("unsubscribe", "withdrawn")


def test_a_withdrawal_nobody_can_be_found_for_waits_for_a_person():
    assert plan_batch([arrival(withdrawal(external="hubspot:1"))], Known()).records[0].state == "quarantined"


def test_what_cannot_be_told_apart_is_quarantined_with_the_reason():
    nobody = numbered(LeadRecord(lead=Lead(first_name="Jill")))
    typo = numbered(LeadRecord(lead=Lead(email="jill@")))
    stranger = lead(external="hubspot:1")
    broken = numbered(UnmappableRecord(reason="registrant_missing"))
    plan = plan_batch([arrival(nobody, typo, stranger, broken, numbered(IgnoredRecord(reason="test")))], Known())
    assert reasons_of(plan) == ["no_contact", "contact_unusable", "contact_not_known", "registrant_missing", "test"]
    assert plan.deltas == {"accepted": 5, "quarantined": 4, "ignored": 1}


def test_a_delivery_seen_before_creates_nothing_and_gets_the_first_ids():
    earlier = KnownDelivery(
        submission_id="S0", fingerprint=b"", results=(Result(record_id="R0", nature="lead", lead_id="L0"),)
    )
    plan = plan_batch([arrival(lead("a", dedupe_key="k"))], Known(deliveries={("website", "k"): earlier}))
    assert (plan.outcomes[0].verdict, plan.outcomes[0].submission_id) == ("duplicate", "S0")
    assert (plan.outcomes[0].results, plan.records, plan.submissions) == (earlier.results, [], [])


def test_the_same_key_twice_in_one_batch_is_one_delivery():
    plan = plan_batch([arrival(lead("a", dedupe_key="k")), arrival(lead("a", dedupe_key="k"))], Known())
    assert [outcome.verdict for outcome in plan.outcomes] == ["accepted", "duplicate"]
    assert len(plan.records) == len(plan.submissions) == 1


def test_of_a_delivery_seen_in_part_only_the_rest_is_new():
    seen = plan_batch([arrival(lead("a", dedupe_key="k1"))], Known())
    both = arrival(lead("a", dedupe_key="k1"), lead("b", dedupe_key="k2"))
    deliveries = {
        ("website", "k1"): KnownDelivery(submission_id="S0", fingerprint=b"", results=seen.outcomes[0].results)
    }
    plan = plan_batch([both], Known(deliveries=deliveries))
    assert plan.outcomes[0].verdict == "accepted"
    assert [record.record_id for record in plan.records] == [both.records[1].record_id]


def test_keys_of_two_sources_are_different_keys():
    two = [arrival(lead("a", dedupe_key="k"), source_key=key) for key in ("one", "two")]
    assert [outcome.verdict for outcome in plan_batch(two, Known()).outcomes] == ["accepted", "accepted"]


def test_an_idempotency_key_with_another_body_is_a_conflict():
    first = arrival(lead("a"), idempotency_key="i", fingerprint=b"1")
    other = arrival(lead("b"), idempotency_key="i", fingerprint=b"2")
    same = arrival(lead("a"), idempotency_key="i", fingerprint=b"1")
    plan = plan_batch([first, other, same], Known())
    assert [outcome.verdict for outcome in plan.outcomes] == ["accepted", "conflict", "duplicate"]
    assert plan.outcomes[2].results == plan.outcomes[0].results


def test_an_activity_for_a_lead_that_does_not_exist_is_refused_before_anything_is_written():
    plan = plan_batch([arrival(activity(lead_id="L9"))], Known())
    assert (plan.outcomes[0].verdict, plan.records) == ("lead_unknown", [])


def test_a_replay_moves_the_record_out_of_quarantine_and_is_not_accepted_again():
    mapped = lead("a", dedupe_key="k")
    own = KnownDelivery(submission_id="S0", fingerprint=b"", results=())
    again = arrival(mapped, submission_id="S0", replaced=frozenset({mapped.record_id}))
    plan = plan_batch([again], Known(deliveries={("website", "k"): own}, quarantined_ids=again.replaced))
    assert +plan.deltas == {"in_flight": 1}
    assert plan.deltas["quarantined"] == -1
    assert (plan.submissions, plan.deliveries) == ([], [])


def test_a_replay_of_what_came_again_meanwhile_is_no_second_lead():
    mapped = lead("a", dedupe_key="k")
    meanwhile = KnownDelivery(submission_id="S1", fingerprint=b"", results=())
    again = arrival(mapped, submission_id="S0", replaced=frozenset({mapped.record_id}))
    plan = plan_batch([again], Known(deliveries={("website", "k"): meanwhile}, quarantined_ids=again.replaced))
    assert [(record.state, record.reason) for record in plan.records] == [("ignored", "duplicate")]
    assert plan.events == []


def test_a_record_that_left_the_quarantine_is_not_replayed():
    mapped = lead("a")
    plan = plan_batch([arrival(mapped, replaced=frozenset({mapped.record_id}))], Known())
    assert (plan.outcomes[0].verdict, plan.records) == ("not_quarantined", [])


keys = st.sampled_from([None, "1", "2", "3"])
people = st.builds(
    lambda nature, email, phone, external: (nature, email, phone, external),
    st.sampled_from(["lead", "activity", "withdrawal"]), keys, keys, keys,
)  # fmt: skip
batches = st.lists(st.lists(people, min_size=1, max_size=3), max_size=6)


def build(shape: list[list[tuple[str, str | None, str | None, str | None]]]) -> list[Arrival]:
    return [arrival(*(build_one(*person) for person in records)) for records in shape]


def build_one(nature: str, email: str | None, phone: str | None, external: str | None) -> Numbered:
    if nature == "lead":
        return lead(email, phone, external)
    return activity(email, external) if nature == "activity" else withdrawal(email, external)


@settings(max_examples=100, deadline=None)
@given(shape=batches)
def test_every_record_is_in_exactly_one_state(shape: Any):
    arrivals = build(shape)
    plan = plan_batch(arrivals, Known())
    records = [item.record_id for one in arrivals for item in one.records]
    assert [record.record_id for record in plan.records] == records
    assert plan.deltas["accepted"] == len(records) == plan.deltas.total() - plan.deltas["accepted"]


@settings(max_examples=100, deadline=None)
@given(shape=batches)
def test_one_e_mail_never_belongs_to_two_leads(shape: Any):
    arrivals = build(shape)
    plan = plan_batch(arrivals, Known())
    lead_by_record = {record.record_id: record.lead_id for record in plan.records if record.lead_id}
    for value in ("1", "2", "3"):
        leads = {lead_by_record[item.record_id] for one in arrivals for item in one.records if item.email == value}
        assert len(leads) <= 1


@settings(max_examples=100, deadline=None)
@given(shape=batches, cut=st.integers(0, 6))
def test_where_a_batch_is_cut_changes_nobody(shape: Any, cut: int):
    arrivals = build(shape)
    whole = plan_batch(arrivals, Known())
    first = plan_batch(arrivals[:cut], Known())
    second = plan_batch(arrivals[cut:], Known(identities=first.identities))
    assert [record.lead_id for record in whole.records] == [
        record.lead_id for plan in (first, second) for record in plan.records
    ]


@settings(max_examples=50, deadline=None)
@given(shape=batches)
def test_the_known_is_not_changed_by_planning(shape: Any):
    first = plan_batch(build(shape), Known())
    identities = dict(first.identities)
    given_known = Known(identities=identities)
    plan_batch(build(shape), given_known)
    assert identities == first.identities
