from pathlib import Path

import pytest

from routing.domain.fields import FIELDS, read_inputs
from routing.domain.predicates import All, AnyOf, Not, Operator, Predicate, Test, compile_predicate, describe
from shared.contracts import Touch
from shared.testing.builders import make_cleared, make_facts, make_lead, make_origin, make_score, make_verdict

CASE = make_cleared(
    lead=make_lead(country="DE", employees=500, industry="Software", region=None),
    facts=make_facts(company_domain="acme.example", seniority="unknown", email_kind="business"),
    score=make_score(points=72.5, grade="A", is_mql=True),
    origin=make_origin(source_key="website", touch=Touch(utm_campaign="spring-2026")),
    verdict=make_verdict(channels=("email",)),
)
INPUTS = read_inputs(tuple(FIELDS.values()), CASE)


def why_not(predicate: Predicate) -> str | None:
    return compile_predicate(predicate)(INPUTS)


@pytest.mark.parametrize(
    ("field", "operator", "operand", "holds"),
    [
        ("lead.country", "eq", "DE", True),
        ("lead.country", "eq", "de", True),
        ("lead.country", "eq", "AT", False),
        ("lead.country", "in", ("AT", "DE"), True),
        ("lead.country", "in", ("AT", "CH"), False),
        ("lead.industry", "starts_with", "soft", True),
        ("lead.industry", "starts_with", ("hard", "soft"), True),
        ("lead.industry", "starts_with", "ware", False),
        ("lead.region", "exists", False, True),
        ("lead.region", "exists", True, False),
        ("lead.region", "eq", "DE-BE", False),
        ("lead.employees", "gte", 500, True),
        ("lead.employees", "gt", 500, False),
        ("lead.employees", "lte", 500, True),
        ("lead.employees", "lt", 500, False),
        ("lead.employees", "eq", 500, True),
        ("lead.employees", "in", (100, 500), True),
        ("score.points", "gt", 72, True),
        ("score.is_mql", "eq", True, True),
        ("score.is_mql", "eq", False, False),
        ("score.grade", "in", ("A", "B"), True),
        ("facts.seniority", "exists", True, False),
        ("facts.email_kind", "eq", "business", True),
        ("facts.company_domain", "starts_with", "acme", True),
        ("origin.source_key", "eq", "website", True),
        ("touch.utm_campaign", "starts_with", "spring", True),
        ("touch.utm_source", "exists", False, True),
        ("verdict.may_email", "eq", True, True),
        ("verdict.may_phone", "eq", True, False),
    ],
)
def test_a_test_holds_exactly_when_its_table_says(field, operator: Operator, operand, holds):
    assert (why_not(Test(field, operator, operand)) is None) is holds


GERMAN, LARGE, AUSTRIAN = Test("lead.country", "eq", "DE"), Test("lead.employees", "gte", 1000), Test(
    "lead.country", "eq", "AT"
)  # fmt: skip


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        (All(()), True),
        (All((GERMAN,)), True),
        (All((GERMAN, LARGE)), False),
        (AnyOf((LARGE, GERMAN)), True),
        (AnyOf((LARGE, AUSTRIAN)), False),
        (Not(LARGE), True),
        (Not(GERMAN), False),
        (All((Not(AUSTRIAN), AnyOf((LARGE, Not(LARGE))))), True),
    ],
)
def test_trees_combine_like_logic(predicate, holds):
    assert (why_not(predicate) is None) is holds


def test_the_negation_of_a_test_on_an_unknown_input_holds():
    assert why_not(Not(Test("lead.region", "eq", "US-CA"))) is None


def test_a_reason_names_the_first_test_that_failed_and_the_value_it_saw():
    assert why_not(All((GERMAN, LARGE, AUSTRIAN))) == "lead.employees gte 1000: was 500"


def test_a_reason_for_any_names_every_alternative():
    assert why_not(AnyOf((LARGE, AUSTRIAN))) == 'lead.employees gte 1000: was 500; lead.country eq "AT": was "DE"'


def test_a_reason_says_not_known_rather_than_none():
    assert why_not(Test("lead.region", "eq", "US-CA")) == 'lead.region eq "US-CA": was not known'


def test_a_reason_for_not_names_what_held():
    assert why_not(Not(GERMAN)) == 'not (lead.country eq "DE"): it was'


def test_a_tree_can_be_read_by_a_person():
    assert describe(All((GERMAN, Not(LARGE)))) == '(lead.country eq "DE") and (not (lead.employees gte 1000))'


def test_every_field_of_the_closed_list_is_documented():
    readme = Path(__file__).parents[3].joinpath("services/routing/README.md").read_text(encoding="utf-8")
    rows = [f"| `{field.name}` | {field.sort} | {field.meaning} |" for field in FIELDS.values()]
    assert [row for row in rows if row not in readme] == []
