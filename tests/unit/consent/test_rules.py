"""Every shipped rule, at the edges of its clock; and what happens where no rule speaks."""

from datetime import UTC, datetime, timedelta

import pytest

from consent.domain.decide import Decision, Question, decide
from consent.domain.jurisdictions import EEA, jurisdiction_of
from consent.domain.rules import ends_at
from consent.domain.statements import Mark, Standing, Statement, fold, relate
from consent.rule_document import default_rules_text, parse_rules
from shared.documents import DocumentInvalid

TABLE = parse_rules(default_rules_text())
THEN = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def said(state: str = "given", *, at: datetime = THEN, **fields: object) -> Statement:
    values: dict[str, object] = {
        "record_id": f"{state}-{at:%s}",
        "state": state,
        "purposes": ("sales_contact", "marketing"),
        "channels": ("email", "phone", "sms"),
        "happened_at": at,
        "known_at": at,
        "method": "web_form",
        "notice_version": "2026-01",
    }
    return Statement(**{**values, **fields})  # type: ignore[arg-type]


def ask(
    standing: Standing, jurisdiction: str, *, at: datetime = THEN, suppressed: tuple[str, ...] = (), **fields: str
) -> Decision:
    values: dict[str, str] = {"purpose": "sales_contact", "channel": "email", "subject_kind": "corporate"}
    question = Question(jurisdiction=jurisdiction, at=at, **{**values, **fields})  # type: ignore[arg-type]
    return decide(TABLE, standing, frozenset(suppressed), question)


NOBODY = Standing()
ASKED = relate(NOBODY, "inquiry", Mark(THEN, THEN, "inquiry-1"))
BOUGHT = relate(NOBODY, "purchase", Mark(THEN, THEN, "purchase-1"))
CONSENTED = fold(NOBODY, [said()])
CONFIRMED = fold(NOBODY, [said(is_double_opt_in=True)])
UNPROVED = fold(NOBODY, [said(notice_version=None)])


@pytest.mark.parametrize(
    ("jurisdiction", "standing", "fields", "is_allowed", "rule_id", "reason"),
    [
        ("DE", CONFIRMED, {}, True, "DE-UWG", "double_opt_in"),
        ("DE", CONSENTED, {}, False, "DE-UWG", "not_confirmed"),
        ("DE", CONSENTED, {"channel": "phone"}, False, "DE-UWG", "not_confirmed"),
        ("DE", ASKED, {}, True, "DE-INQUIRY", "inquiry"),
        ("DE", ASKED, {"purpose": "marketing"}, False, "DE-UWG", "not_confirmed"),
        ("DE", ASKED, {"channel": "sms"}, False, "DE-UWG", "not_confirmed"),
        ("EEA", NOBODY, {}, False, "EPRIV-13", "no_proof_of_consent"),
        ("EEA", CONSENTED, {"subject_kind": "individual"}, True, "EPRIV-13", "consent"),
        ("EEA", UNPROVED, {}, False, "EPRIV-13", "no_proof_of_consent"),
        ("EEA", BOUGHT, {}, True, "EPRIV-13-SOFT", "purchase"),
        ("EEA", BOUGHT, {"channel": "phone"}, False, "EPRIV-13", "no_proof_of_consent"),
        ("EEA", ASKED, {}, True, "EU-INQUIRY", "inquiry"),
        ("EEA", ASKED, {"purpose": "marketing"}, False, "EPRIV-13", "no_proof_of_consent"),
        ("UK", NOBODY, {}, True, "UK-PECR-CORP", "no_consent_needed"),
        ("UK", NOBODY, {"subject_kind": "individual"}, False, "UK-PECR", "no_proof_of_consent"),
        ("UK", CONSENTED, {"subject_kind": "individual"}, True, "UK-PECR", "consent"),
        ("UK", NOBODY, {"channel": "phone"}, False, "UK-PECR", "no_proof_of_consent"),
        ("UK", BOUGHT, {"subject_kind": "individual"}, True, "UK-PECR-SOFT", "purchase"),
        ("UK", ASKED, {"subject_kind": "individual"}, True, "UK-INQUIRY", "inquiry"),
        ("CA", CONSENTED, {}, True, "CA-EXPRESS", "consent"),
        ("CA", NOBODY, {}, False, "CA-EXPRESS", "no_proof_of_consent"),
        ("CA", ASKED, {"purpose": "marketing"}, True, "CA-IMPL-6M", "inquiry"),
        ("CA", BOUGHT, {"purpose": "marketing"}, True, "CA-IMPL-2Y", "purchase"),
        ("US", NOBODY, {}, True, "US-CANSPAM", "opt_out_regime"),
        ("US", NOBODY, {"channel": "phone"}, False, "US-TCPA", "no_proof_of_consent"),
        ("US", ASKED, {"channel": "phone"}, True, "US-INQUIRY", "inquiry"),
        ("US-CA", NOBODY, {}, True, "US-CANSPAM", "opt_out_regime"),
        ("US-CA", NOBODY, {"purpose": "sale_share"}, True, "US-CA-SALE", "opt_out_regime"),
        ("US", NOBODY, {"purpose": "profiling"}, False, "DEFAULT-DENY", "no_rule"),
        ("EEA", CONSENTED, {"purpose": "sale_share"}, False, "DEFAULT-DENY", "no_rule"),
        ("UNKNOWN", CONSENTED, {}, False, "DE-UWG", "not_confirmed"),
        ("UNKNOWN", CONFIRMED, {}, True, "DE-UWG", "double_opt_in"),
        ("US", NOBODY, {"purpose": "anything"}, False, "DEFAULT-DENY", "unknown_purpose"),
        ("US", NOBODY, {"channel": "fax"}, False, "DEFAULT-DENY", "unknown_channel"),
        ("US", NOBODY, {"subject_kind": "robot"}, False, "DEFAULT-DENY", "no_rule"),
    ],
)  # fmt: skip
def test_shipped_rule(
    jurisdiction: str, standing: Standing, fields: dict[str, str], is_allowed: bool, rule_id: str, reason: str
) -> None:
    decision = ask(standing, jurisdiction, at=THEN, suppressed=(), **fields)
    assert (decision.is_allowed, decision.rule_id, decision.reason) == (is_allowed, rule_id, reason)


@pytest.mark.parametrize(
    ("jurisdiction", "standing", "channel", "months"),
    [
        ("CA", ASKED, "email", 6), ("CA", BOUGHT, "email", 24), ("DE", ASKED, "email", 3), ("EEA", ASKED, "email", 6),
        ("US", ASKED, "phone", 3),
    ],
)  # fmt: skip
def test_permission_resting_on_time_ends_at_its_instant(
    jurisdiction: str, standing: Standing, channel: str, months: int
) -> None:
    end = ends_at(THEN, months, jurisdiction)
    before = ask(standing, jurisdiction, channel=channel, at=end - SECOND)
    after = ask(standing, jurisdiction, channel=channel, at=end)
    assert before.is_allowed
    assert before.expires_at == end
    assert not after.is_allowed
    assert "relation_expired" in {step.outcome for step in after.considered}


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (datetime(2026, 8, 31, tzinfo=UTC), 6, datetime(2027, 2, 28, tzinfo=UTC)),
        (datetime(2027, 8, 31, tzinfo=UTC), 6, datetime(2028, 2, 29, tzinfo=UTC)),
        (datetime(2024, 2, 29, tzinfo=UTC), 24, datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2026, 1, 15, 9, 30, tzinfo=UTC), 3, datetime(2026, 4, 15, 9, 30, tzinfo=UTC)),
    ],
)
def test_months_are_calendar_months(start: datetime, months: int, end: datetime) -> None:
    assert ends_at(start, months, "UNKNOWN") == end


@pytest.mark.parametrize(
    ("jurisdiction", "start", "months", "end"),
    [
        # 28 February in all of Canada, 1 March in UTC: counted there it would end on 1 September.
        ("CA", datetime(2026, 3, 1, 2, 0, tzinfo=UTC), 6, datetime(2026, 8, 29, 1, 0, tzinfo=UTC)),
        ("DE", datetime(2026, 1, 31, 22, 30, tzinfo=UTC), 3, datetime(2026, 4, 30, 21, 30, tzinfo=UTC)),
        ("UK", datetime(2026, 3, 28, 12, 0, tzinfo=UTC), 6, datetime(2026, 9, 28, 11, 0, tzinfo=UTC)),
    ],
)
def test_months_are_counted_on_the_calendar_of_the_place_and_the_earliest_end_counts(
    jurisdiction: str, start: datetime, months: int, end: datetime
) -> None:
    assert ends_at(start, months, jurisdiction) == end


@pytest.mark.parametrize("jurisdiction", ["DE", "EEA", "UK", "CA", "US", "US-CA", "UNKNOWN"])
@pytest.mark.parametrize("state", ["withdrawn", "objected"])
def test_no_beats_every_rule_everywhere(jurisdiction: str, state: str) -> None:
    everything = relate(relate(CONFIRMED, "inquiry", Mark(THEN, THEN, "i")), "purchase", Mark(THEN, THEN, "p"))
    standing = fold(everything, [said(state, at=THEN + SECOND)])
    decision = ask(standing, jurisdiction, at=THEN + timedelta(days=1))
    assert (decision.is_allowed, decision.reason) == (False, state)


def test_withdrawal_at_the_same_instant_as_a_grant_wins() -> None:
    standing = fold(NOBODY, [said(is_double_opt_in=True), said("withdrawn")])
    assert ask(standing, "EEA").reason == "withdrawn"


def test_later_proved_grant_is_a_new_decision_of_the_person() -> None:
    standing = fold(NOBODY, [said("withdrawn"), said(at=THEN + SECOND)])
    assert ask(standing, "EEA", at=THEN + 2 * SECOND).is_allowed


def test_later_grant_without_proof_does_not_lift_a_withdrawal() -> None:
    standing = fold(NOBODY, [said("withdrawn"), said(at=THEN + SECOND, notice_version=None)])
    assert ask(standing, "US", at=THEN + 2 * SECOND).reason == "withdrawn"


def test_suppressed_address_beats_a_confirmed_grant() -> None:
    assert ask(CONFIRMED, "DE", suppressed=("email",)).reason == "suppressed"


def test_suppression_of_one_channel_leaves_the_others() -> None:
    assert ask(CONFIRMED, "DE", channel="phone", suppressed=("email",)).is_allowed


def test_unticked_box_takes_a_grant_back_but_is_no_objection_where_none_is_needed() -> None:
    refused = fold(CONSENTED, [said("refused", at=THEN + SECOND)])
    assert ask(refused, "EEA", at=THEN + 2 * SECOND).reason == "refused"
    assert ask(refused, "US", at=THEN + 2 * SECOND).is_allowed


def test_refusal_with_the_inquiry_itself_leaves_no_implied_permission() -> None:
    assert not ask(fold(ASKED, [said("refused")]), "CA").is_allowed


def test_global_privacy_control_stops_sale_and_sharing_only() -> None:
    standing = fold(NOBODY, [said("objected", purposes=("sale_share",))])
    assert ask(standing, "US-CA", purpose="sale_share").reason == "objected"
    assert ask(standing, "US-CA").is_allowed


def test_denial_names_every_rule_that_was_looked_at() -> None:
    steps = [(step.rule_id, step.outcome) for step in ask(NOBODY, "CA").considered]
    assert steps == [
        ("CA-EXPRESS", "no_proof_of_consent"), ("CA-IMPL-2Y", "no_relation"), ("CA-IMPL-6M", "no_relation"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        ("DE", None, "DE"), ("de", None, "DE"), ("GB", None, "UK"), ("UK", None, "UK"), ("CA", "CA-ON", "CA"),
        ("US", "US-CA", "US-CA"), ("US", "US-NY", "US"), ("US", None, "US"), ("BR", None, "UNKNOWN"),
        (None, None, "UNKNOWN"), ("", None, "UNKNOWN"), ("XX", None, "UNKNOWN"),
        *((code, None, "EEA") for code in sorted(EEA - {"DE"})),
    ],
)  # fmt: skip
def test_jurisdiction(country: str | None, region: str | None, expected: str) -> None:
    assert jurisdiction_of(country, region) == expected


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (("basis: opt_out", "basis: hope"), "/rules/12/basis"),
        (("months: 24", "months: 0"), "/rules/10/months"),
        (("relation: purchase\n    months: 24", "months: 24"), "/rules/10"),
        (("strictest: DE", "strictest: BR"), "/strictest"),
        (("id: CA-EXPRESS", "id: EPRIV-13"), "/rules/9/id"),
        (("note: have counsel review", "note: x\nsurprise: 1"), "/surprise"),
    ],
)
def test_faulty_document_is_refused_with_a_pointer(change: tuple[str, str], pointer: str) -> None:
    text = default_rules_text()
    assert change[0] in text
    with pytest.raises(DocumentInvalid) as refused:
        parse_rules(text.replace(*change, 1))
    assert pointer in {error["pointer"] for error in refused.value.errors}


def test_grant_older_than_a_no_is_not_revived_by_a_weaker_one() -> None:
    standing = fold(CONFIRMED, [said("withdrawn", at=THEN + SECOND), said(at=THEN + 2 * SECOND)])
    decision = ask(standing, "DE", at=THEN + 3 * SECOND)
    assert not decision.is_allowed
    assert ("DE-UWG", "superseded") in {(step.rule_id, step.outcome) for step in decision.considered}


def test_inquiry_older_than_a_no_gives_nothing_after_a_new_grant() -> None:
    standing = fold(ASKED, [said("objected", at=THEN + SECOND), said(at=THEN + 2 * SECOND)])
    assert not ask(standing, "DE", at=THEN + 3 * SECOND).is_allowed


def test_inquiry_from_nowhere_we_know_is_no_permission() -> None:
    assert "place_unknown" in {step.outcome for step in ask(ASKED, "UNKNOWN").considered}
    assert not ask(ASKED, "UNKNOWN").is_allowed


@pytest.mark.parametrize("method", ["preticked", "pre_ticked", "web_form_pre-ticked"])
def test_pre_ticked_box_proves_nothing(method: str) -> None:
    assert ask(fold(NOBODY, [said(method=method)]), "EEA").reason == "no_proof_of_consent"


def test_grant_that_lifted_a_withdrawal_lifts_it_no_more_once_it_is_refused() -> None:
    taken_back = [said("withdrawn"), said(at=THEN + SECOND), said("refused", at=THEN + 2 * SECOND)]
    assert ask(fold(NOBODY, taken_back), "US", at=THEN + 3 * SECOND).reason == "withdrawn"
