"""In whatever order statements arrive, the same answer comes out, and a "no" is never lost."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.domain.decide import Question, decide
from consent.domain.statements import CHANNELS, PURPOSES, Standing, Statement, fold
from consent.rule_document import default_rules_text, parse_rules

TABLE = parse_rules(default_rules_text())
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)

instants = st.integers(0, 20).map(lambda day: START + timedelta(days=day))
statements = st.builds(
    Statement,
    record_id=st.uuids().map(str),
    state=st.sampled_from(["given", "refused", "withdrawn", "objected"]),
    purposes=st.lists(st.sampled_from(PURPOSES), min_size=1, max_size=3, unique=True).map(tuple),
    channels=st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True).map(tuple),
    happened_at=instants,
    known_at=instants,
    method=st.just("web_form"),
    notice_version=st.sampled_from([None, "v1"]),
    is_double_opt_in=st.booleans(),
)
questions = st.builds(
    Question,
    purpose=st.sampled_from([*PURPOSES, "other"]),
    channel=st.sampled_from([*CHANNELS, "fax"]),
    jurisdiction=st.sampled_from(["DE", "EEA", "UK", "CA", "US", "US-CA", "UNKNOWN"]),
    subject_kind=st.sampled_from(["individual", "corporate"]),
    at=st.just(NOW),
)


@settings(max_examples=100)
@given(st.lists(statements, max_size=12), questions, st.randoms(use_true_random=False))
def test_arrival_order_changes_nothing(said: list[Statement], question: Question, chance: object) -> None:
    shuffled = list(said)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one_by_one = Standing()
    for statement in shuffled:
        one_by_one = fold(one_by_one, [statement])
    assert fold(Standing(), said) == one_by_one
    assert decide(TABLE, one_by_one, frozenset(), question) == decide(
        TABLE, fold(Standing(), said), frozenset(), question
    )


@settings(max_examples=100)
@given(st.lists(statements, max_size=12), questions)
def test_latest_no_is_obeyed_unless_a_later_proved_grant_follows(said: list[Statement], question: Question) -> None:
    about = [s for s in said if question.purpose in s.purposes and question.channel in s.channels]
    noes = [s.happened_at for s in about if s.state in {"withdrawn", "objected"}]
    grants = [s.happened_at for s in about if s.state == "given" and s.has_proof]
    decision = decide(TABLE, fold(Standing(), said), frozenset(), question)
    if noes and (not grants or max(grants) <= max(noes)):
        assert not decision.is_allowed


@settings(max_examples=100)
@given(st.lists(statements, max_size=12), questions)
def test_suppressed_channel_is_never_allowed(said: list[Statement], question: Question) -> None:
    assert not decide(TABLE, fold(Standing(), said), frozenset({question.channel}), question).is_allowed


@settings(max_examples=100)
@given(questions)
def test_without_statements_only_opt_out_and_corporate_rules_allow(question: Question) -> None:
    decision = decide(TABLE, Standing(), frozenset(), question)
    assert not decision.is_allowed or decision.reason in {"opt_out_regime", "no_consent_needed"}


@settings(max_examples=100)
@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_words_nobody_configured_are_denied(purpose: str, channel: str, kind: str) -> None:
    question = Question(purpose=purpose, channel=channel, jurisdiction="UNKNOWN", subject_kind=kind, at=NOW)
    assert not decide(TABLE, Standing(), frozenset(), question).is_allowed
