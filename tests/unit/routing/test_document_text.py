import pytest
import yaml

from routing.document_text import default_document_text, parse_document
from routing.domain.fields import FIELDS
from shared.documents import DocumentInvalid

VALID = """
pools:
  - id: emea
    members: [{rep: ana, weight: 2}, {team: emea}]
    when_closed: fallback
rules:
  - id: large-de
    when:
      all:
        - {field: lead.country, in: [DE, AT]}
        - not: {field: lead.employees, lt: 500}
        - any:
            - {field: score.is_mql, eq: true}
            - {field: facts.company_domain, exists: true}
    pool: emea
  - id: rest
    pool: emea
"""


def errors_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(DocumentInvalid) as caught:
        parse_document(text)
    return [(error["pointer"], error["detail"]) for error in caught.value.errors]


def rule_with(when: str) -> str:
    return f"pools: [{{id: p, members: [{{rep: ana}}]}}]\nrules:\n  - id: r\n    pool: p\n    when: {when}\n"


def test_the_shipped_document_is_valid():
    document = parse_document(default_document_text())
    assert document.has_nurture
    assert [rule.rule_id for rule in document.rules][-1] == "everyone-else"


def test_a_valid_document_keeps_order_weights_and_policies():
    document = parse_document(VALID)
    assert [rule.rule_id for rule in document.rules] == ["large-de", "rest"]
    assert [(s.rep_id, s.team, s.weight) for s in document.pools["emea"].shares] == [
        ("ana", None, 2),
        (None, "emea", 1),
    ]
    assert document.pools["emea"].when_closed == "fallback"


def test_only_the_inputs_that_rules_read_are_collected():
    names = [field.name for field in parse_document(VALID).fields]
    assert names == ["facts.company_domain", "lead.country", "lead.employees", "score.is_mql"]


def test_an_empty_document_sends_everything_to_the_fallback_queue():
    assert parse_document("{}").rules == ()


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("[]", ""),
        ("rules: [", ""),
        ("a: &x [1]\nb: *x", ""),
        ("surprise: 1", "/surprise"),
        ("nurture_below_mql: 'yes'", "/nurture_below_mql"),
        ("when_closed: sometimes", "/when_closed"),
        ("pools: [{id: p, members: []}]", "/pools/0/members"),
        ("pools: [{id: p, members: [{rep: ana, weight: 0}]}]", "/pools/0/members/0/weight"),
        ("pools: [{id: p, members: [{rep: ana, team: x}]}]", "/pools/0/members/0"),
        ("pools: [{id: p, members: [{rep: ana}, {rep: ana}]}]", "/pools/0"),
        ("pools: [{id: p, members: [{rep: a}]}, {id: p, members: [{rep: a}]}]", "/pools/1/id"),
        ("pools: [{id: 'P P', members: [{rep: a}]}]", "/pools/0/id"),
        ("rules: [{id: r, pool: nowhere}]", "/rules/0/pool"),
        (rule_with("{}"), "/rules/0/when"),
        (rule_with("{field: lead.contry, eq: DE}"), "/rules/0/when"),
        (rule_with("{field: lead.country}"), "/rules/0/when"),
        (rule_with("{field: lead.country, eq: DE, in: [AT]}"), "/rules/0/when"),
        (rule_with("{field: lead.country, gte: 3}"), "/rules/0/when"),
        (rule_with("{field: lead.employees, eq: many}"), "/rules/0/when"),
        (rule_with("{field: score.is_mql, eq: 1}"), "/rules/0/when"),
        (rule_with("{all: [{field: lead.country, eq: DE}, {any: []}]}"), "/rules/0/when/all/1/any"),
        (rule_with("{not: {field: lead.country, eq: 7}}"), "/rules/0/when/not"),
        (rule_with("{eq: DE}"), "/rules/0/when"),
        (rule_with("{all: [{field: lead.country, eq: DE}], field: lead.city, eq: Ulm}"), "/rules/0/when"),
        (rule_with("[1]"), "/rules/0/when"),
    ],
)
def test_a_fault_is_named_by_its_json_pointer(text, pointer):
    assert pointer in [found for found, _ in errors_of(text)]


def test_norway_written_without_quotes_is_explained():
    ((_, detail),) = errors_of(rule_with("{field: lead.country, in: [SE, NO]}"))
    assert "quote" in detail


def test_an_unknown_field_is_answered_with_the_known_ones():
    ((_, detail),) = errors_of(rule_with("{field: lead.contry, eq: DE}"))
    assert all(name in detail for name in FIELDS)


def test_a_rule_after_one_that_takes_everything_is_a_fault():
    text = "pools: [{id: p, members: [{rep: a}]}]\nrules: [{id: all, pool: p}, {id: late, pool: p}]"
    assert errors_of(text) == [("/rules/1", "never reached: all takes every lead before it")]


def test_two_rules_with_one_id_are_a_fault():
    text = rule_with("{field: score.is_mql, eq: true}") + "  - {id: r, pool: p}\n"
    assert errors_of(text) == [("/rules/1/id", "a second rule r")]


def test_every_fault_is_reported_at_once():
    text = "nurture_below_mql: 3\nwhen_closed: x\nrules: [{id: r, pool: nowhere}]"
    assert {pointer for pointer, _ in errors_of(text)} >= {"/nurture_below_mql", "/when_closed"}


def test_a_tree_deeper_than_the_limit_is_refused_before_anything_walks_it():
    when: object = {"field": "lead.country", "eq": "DE"}
    for _ in range(60):
        when = {"not": when}
    assert errors_of(rule_with(yaml.safe_dump(when, default_flow_style=True, width=10**6).strip())) == [
        ("/rules/0/when", "nested deeper than 8")
    ]


def test_a_tree_with_too_many_nodes_is_refused():
    leaf = "{field: lead.country, eq: DE}"
    wide = "{all: [" + ", ".join([leaf] * 150) + "]}"
    assert errors_of(rule_with(f"{{any: [{wide}, {wide}]}}")) == [
        ("/rules/0/when", "303 nodes; at most 200 are allowed")
    ]
