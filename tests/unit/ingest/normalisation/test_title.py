"""Real-world job titles and industries."""

import pytest
from tests.unit.ingest.normalisation.spelling_tables import read_spellings

from ingest.domain.normalisation.industry import industries, read_industry
from ingest.domain.normalisation.title import read_title

KNOWN_TITLES = [(spelling, *role.split(" ")) for spelling, role in read_spellings("titles")]
KNOWN_INDUSTRIES = read_spellings("industries")


@pytest.mark.parametrize(("typed", "seniority", "department"), KNOWN_TITLES)
def test_a_title_tells_seniority_and_department(typed, seniority, department):
    assert read_title(typed) == (seniority, department)


@pytest.mark.parametrize(("typed", "industry"), KNOWN_INDUSTRIES)
def test_an_industry_is_read_into_the_scheme(typed, industry):
    assert read_industry(typed) == industry


@pytest.mark.parametrize(
    "typed",
    ["", "n/a", "other", "Underwater basketry", "Banking and Insurance", "Retail, Education", "xyz", "😀", "\x00"],
)
def test_an_industry_outside_the_scheme_or_of_two_stays_unset(typed):
    assert read_industry(typed) is None


def test_every_industry_of_the_scheme_reads_as_itself():
    assert {read_industry(industry) for industry in industries()} == industries()


def test_the_scheme_has_a_score_for_all_but_agriculture():
    """The shipped scoring model looks for these words in ``lead.industry``."""
    assert industries() >= {
        "software",
        "it services",
        "banking",
        "insurance",
        "consulting",
        "manufacturing",
        "healthcare",
        "e-commerce",
    }
