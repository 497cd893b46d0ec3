"""Conditions are told in words that a person can check against the document."""

from typing import Any

import pytest

from scoring.model_schema import ConditionPart
from scoring.model_words import word_condition


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"field": "lead.employees", "at_least": 201}, "lead.employees at least 201"),
        ({"field": "lead.employees", "at_most": 5}, "lead.employees at most 5"),
        ({"field": "lead.employees", "at_least": 2, "at_most": 10}, "lead.employees at least 2 and at most 10"),
        ({"field": "lead.country", "is_in": ["DE"]}, "lead.country is DE"),
        ({"field": "lead.country", "is_in": ["DE", "AT", "CH"]}, "lead.country is DE, AT or CH"),
        ({"field": "lead.title", "has_words": ["owner", "founder"]}, "lead.title has the words owner or founder"),
        ({"field": "facts.is_competitor", "is_true": True}, "facts.is_competitor is true"),
        ({"field": "facts.is_competitor", "is_true": False}, "facts.is_competitor is false"),
        ({"field": "lead.website", "is_set": True}, "lead.website is known"),
        ({"field": "lead.website", "is_set": False}, "lead.website is not known"),
        (
            {"all": [{"field": "lead.website", "is_set": True}, {"field": "lead.country", "is_in": ["DE"]}]},
            "lead.website is known and lead.country is DE",
        ),
        (
            {
                "all": [
                    {"any": [{"field": "lead.city", "is_in": ["Ulm"]}, {"field": "lead.country", "is_in": ["DE"]}]},
                    {"none": [{"field": "lead.website", "is_set": False}]},
                ]
            },
            "(lead.city is Ulm or lead.country is DE) and not (lead.website is not known)",
        ),
    ],
)  # fmt: skip
def test_a_condition_is_told_in_words(condition: dict[str, Any], words: str) -> None:
    assert word_condition(ConditionPart.model_validate(condition)) == words


def test_of_a_long_list_the_first_dozen_is_named_and_the_rest_counted() -> None:
    part = ConditionPart(field="lead.country", is_in=[f"c{number}" for number in range(20)])
    assert word_condition(part).endswith("c10, c11 or one of 8 more")
