"""Real-world spellings of countries and regions."""

import pytest
from tests.unit.ingest.normalisation.spelling_tables import read_spellings

from ingest.domain.normalisation.country import read_country, read_region

KNOWN = read_spellings("countries")

# Nationalities, places that are several, places that are none.
UNKNOWN = [
    "German",
    "deutsch",
    "française",
    "American",
    "British",
    "español",
    "Swiss",
    "Korea",
    "Congo",
    "America",
    "Europe",
    "EU",
    "EMEA",
    "DACH",
    "Worldwide",
    "Atlantis",
    "XX",
    "ZZ",
    "UN",
    "n/a",
    "-",
    "",
    "123",
    "Germany / France",
    "Germany, Austria, Switzerland",
    "San Francisco, CA",
    "Tbilisi, Georgia, USA",
    "+49",
    "🏴",
    "🇽🇽",
    "Please select",
    "Berlin",
    "\x00",
]

REGIONS = [
    ("California", "US", "US-CA"),
    ("california", "US", "US-CA"),
    ("CALIFORNIA", "US", "US-CA"),
    ("CA", "US", "US-CA"),
    ("ca", "US", "US-CA"),
    ("Calif.", "US", "US-CA"),
    ("US-CA", "US", "US-CA"),
    ("us-ca", None, "US-CA"),
    ("US-CA", None, "US-CA"),
    ("San Francisco, CA", "US", "US-CA"),
    ("CA - California", "US", "US-CA"),
    ("New York", "US", "US-NY"),
    ("NY", "US", "US-NY"),
    ("N.Y.", "US", "US-NY"),
    ("Texas", "US", "US-TX"),
    ("TX", "US", "US-TX"),
    ("Washington", "US", "US-WA"),
    ("Washington, D.C.", "US", "US-DC"),
    ("D.C.", "US", "US-DC"),
    ("District of Columbia", "US", "US-DC"),
    ("Georgia", "US", "US-GA"),
    ("W. Virginia", "US", "US-WV"),
    ("North Carolina", "US", "US-NC"),
    ("Puerto Rico", "US", "US-PR"),
    ("Ontario", "CA", "CA-ON"),
    ("ON", "CA", "CA-ON"),
    ("Québec", "CA", "CA-QC"),
    ("Quebec", "CA", "CA-QC"),
    ("QC", "CA", "CA-QC"),
    ("BC", "CA", "CA-BC"),
    ("B.C.", "CA", "CA-BC"),
    ("British Columbia", "CA", "CA-BC"),
    ("Nouvelle-Écosse", "CA", "CA-NS"),
    ("Newfoundland", "CA", "CA-NL"),
    ("PEI", "CA", "CA-PE"),
    ("NSW", "AU", "AU-NSW"),
    ("New South Wales", "AU", "AU-NSW"),
    ("Vic", "AU", "AU-VIC"),
    ("WA", "AU", "AU-WA"),
    ("Bayern", "DE", "DE-BY"),
    ("Bavaria", "DE", "DE-BY"),
    ("NRW", "DE", "DE-NW"),
    ("Nordrhein-Westfalen", "DE", "DE-NW"),
    ("Baden-Württemberg", "DE", "DE-BW"),
    ("Berlin", "DE", "DE-BE"),
    ("Wien", "AT", "AT-9"),
    ("Vienna", "AT", "AT-9"),
    ("Zürich", "CH", "CH-ZH"),
    ("Zurich", "CH", "CH-ZH"),
    ("Genève", "CH", "CH-GE"),
    ("England", "GB", "GB-ENG"),
    ("Scotland", "GB", "GB-SCT"),
    ("São Paulo", "BR", "BR-SP"),
    ("SP", "BR", "BR-SP"),
    ("Maharashtra", "IN", "IN-MH"),
    ("Jalisco", "MX", "MX-JAL"),
    ("CDMX", "MX", "MX-CMX"),
]

UNKNOWN_REGIONS = [
    ("California", None),
    ("CA", None),
    ("California", "DE"),
    ("US-CA", "CA"),
    ("US-ZZ", "US"),
    ("Midwest", "US"),
    ("Bayern", "US"),
    ("", "US"),
    ("n/a", "US"),
    ("Île-de-France", "FR"),
    ("New York, New Jersey", "US"),
]


@pytest.mark.parametrize(("typed", "code"), KNOWN)
def test_a_country_is_known_by_code_name_and_flag(typed, code):
    assert read_country(typed) == code


@pytest.mark.parametrize("typed", UNKNOWN)
def test_a_word_that_is_not_certainly_one_country_is_none(typed):
    assert read_country(typed) is None


@pytest.mark.parametrize(("typed", "country", "code"), REGIONS)
def test_a_region_is_known_within_its_country(typed, country, code):
    assert read_region(typed, country) == code


@pytest.mark.parametrize(("typed", "country"), UNKNOWN_REGIONS)
def test_a_region_that_is_not_certain_is_none(typed, country):
    assert read_region(typed, country) is None
