"""Every input of a score goes back to the record that brought it, every signal to the activities that count."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scoring.random_models import NOW, facts_of_leads, histories, leads, models

from ingest.domain.normalisation import EnrichSettings, enrich
from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.domain.evidence import MOST_SHOWN, KnownProfile, rules_behind, signals_behind, trace_inputs
from scoring.domain.fields import FIELD_NAMES, Field, find_field
from scoring.domain.inputs import DERIVED_FROM
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.model_document import default_model_text, parse_model
from shared.contracts import Facts, Lead
from shared.testing.builders import make_origin

DEFAULT = parse_model(default_model_text())
History = list[Activity]


def field(name: str) -> Field:
    found = find_field(name)
    assert found is not None
    return found


def known(days_ago: int, record_id: str, lead: Lead | None = None, facts: Facts | None = None) -> KnownProfile:
    at = NOW - timedelta(days=days_ago)
    origin = make_origin(record_id=record_id, received_at=at)
    return KnownProfile(at, Profile(origin=origin, lead=lead or Lead(), facts=facts or Facts()))


def visits(count: int, *, at: datetime = NOW, **detail: str) -> History:
    return [
        Activity(activity_id=f"{number:03}", kind="website_visit", occurred_at=at, known_at=at, detail=detail)
        for number in range(count)
    ]


def test_a_value_goes_back_to_the_record_with_which_it_became_what_it_is() -> None:
    profiles = [
        known(1, "c", Lead(employees=300)),
        known(2, "b", Lead(employees=300)),
        known(3, "a", Lead(employees=9)),
    ]
    (traced,) = trace_inputs([field("lead.employees")], profiles, is_all=True)
    assert (traced.value, traced.origin.record_id, traced.known_at) == ("300", "b", NOW - timedelta(days=2))
    assert traced.is_since


def test_a_value_that_changed_and_changed_back_goes_back_to_the_later_record() -> None:
    profiles = [known(1, "c", Lead(country="DE")), known(2, "b", Lead(country="FR")), known(3, "a", Lead(country="DE"))]
    (traced,) = trace_inputs([field("lead.country")], profiles, is_all=True)
    assert traced.origin.record_id == "c"


def test_a_value_as_old_as_what_was_looked_at_is_said_to_be_maybe_older() -> None:
    profiles = [known(1, "c"), known(2, "b")]
    (partly,) = trace_inputs([field("lead.country")], profiles, is_all=False)
    (wholly,) = trace_inputs([field("lead.country")], profiles, is_all=True)
    assert (partly.origin.record_id, partly.is_since, wholly.is_since) == ("b", False, True)


def test_a_derived_fact_says_what_it_was_concluded_from_and_why_it_is_not_known() -> None:
    profile = known(1, "a", Lead(title="Grand Wizard"), Facts(notes={"seniority": "title_not_known"}))
    (traced,) = trace_inputs([field("facts.seniority")], [profile], is_all=True)
    assert (traced.value, traced.derived_from, traced.note) == ("unknown", ("lead.title",), "title_not_known")


def test_every_fact_says_what_it_comes_from() -> None:
    assert {name for name in FIELD_NAMES if name.startswith("facts.")} == set(DERIVED_FROM)


SAID = {
    "lead.email": st.sampled_from(
        ["a@acme.example", "b@gmail.com", "sales@acme.example", "c@student.mit.edu", "x@y.edu"]
    ),
    "lead.title": st.sampled_from(["VP Sales", "Clerk", "Head of Purchasing", "CTO"]),
    "lead.company": st.sampled_from(["Acme GmbH", "Jane Doe e.K."]),
    "lead.website": st.sampled_from(["https://acme.example", "https://rival.example"]),
    "lead.industry": st.sampled_from(["Software", "Wizardry"]),
    "lead.country": st.sampled_from(["Germany", "France"]),
    "lead.city": st.sampled_from(["Berlin", "Paris"]),
}


@pytest.mark.parametrize("name", sorted(DERIVED_FROM))
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_fact_depends_on_nothing_but_what_it_is_said_to_come_from(name: str, data: st.DataObject) -> None:
    said = {key: data.draw(st.none() | values) for key, values in SAID.items()}
    others = {key: data.draw(st.none() | values) for key, values in SAID.items() if key not in DERIVED_FROM[name]}
    rivals = EnrichSettings(competitor_domains=frozenset({"rival.example", "gmail.com"}))
    facts = []
    for values in (said, {**said, **others}):
        said_of: dict[str, Any] = {key.removeprefix("lead."): text for key, text in values.items()}
        lead, concluded = enrich(Lead(**said_of), rivals)
        facts.append(field(name).read(lead, concluded))
    assert facts[0] == facts[1]


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_the_activities_that_count_are_worth_what_the_lines_say(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    result = score_lead(model, lead, facts, history, NOW)
    for evidence in signals_behind(model, result, history, NOW):
        said = [
            line for line in result.lines if (line.group, line.source) == (evidence.group, evidence.signal.signal_id)
        ]
        assert evidence.more == 0
        assert round(sum(each.worth for each in evidence.newest)) == sum(line.hundredths for line in said)
        assert len(evidence.newest) + evidence.left_out == said[0].count


@given(models(), leads, facts_of_leads)
@settings(max_examples=60, deadline=None)
def test_every_rule_with_a_line_has_its_condition_in_words(model: ScoringModel, lead: Lead, facts: Facts) -> None:
    result = score_lead(model, lead, facts, (), NOW)
    behind = rules_behind(model, result)
    assert [each.rule.rule_id for each in behind] == [line.source for line in result.lines if line.kind == "rule"]
    assert all(each.rule.wording and each.rule.condition(lead, facts) for each in behind)


def test_only_the_newest_twenty_activities_are_shown_and_the_rest_is_counted() -> None:
    history = [each for day in range(30) for each in visits(1, at=NOW - timedelta(days=day))]
    (evidence,) = signals_behind(DEFAULT, score_lead(DEFAULT, Lead(), Facts(), history, NOW), history, NOW)
    assert (len(evidence.newest), evidence.more, evidence.left_out) == (MOST_SHOWN, 10, 0)
    moments = [each.activity.occurred_at for each in evidence.newest]
    assert moments == sorted(moments, reverse=True)
    assert moments[0] == NOW


def test_what_the_frequency_cap_leaves_out_is_counted() -> None:
    history = visits(5)
    (evidence,) = signals_behind(DEFAULT, score_lead(DEFAULT, Lead(), Facts(), history, NOW), history, NOW)
    assert (len(evidence.newest), evidence.more, evidence.left_out) == (3, 0, 2)
    assert [each.worth for each in evidence.newest] == [200.0, 200.0, 200.0]
