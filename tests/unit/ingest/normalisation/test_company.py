"""Real-world spellings of companies, websites and company sizes."""

import pytest
from tests.unit.ingest.normalisation.spelling_tables import read_spellings

from ingest.domain.normalisation import read_employees
from ingest.domain.normalisation.company import (
    domain_of_website,
    fold_company,
    is_sole_trader,
    read_company,
    read_website,
    registrable_domain,
)

FOLDS = read_spellings("companies")

SIZES = [
    ("1", 1),
    ("5", 5),
    ("51", 51),
    ("250", 250),
    ("1000", 1000),
    ("1,000", 1000),
    ("1.000", 1000),
    ("1 000", 1000),
    ("1\u00a0000", 1000),
    ("1'000", 1000),
    ("12,500", 12500),
    ("100,000", 100000),
    ("1,000,000", 1000000),
    ("250 employees", 250),
    ("ca. 250", 250),
    ("~250", 250),
    ("about 300 people", 300),
    ("approx. 40", 40),
    ("1-10", 1),
    ("2-10", 2),
    ("11-50", 11),
    ("51-200", 51),
    ("201-500", 201),
    ("501-1000", 501),
    ("501-1,000", 501),
    ("1001-5000", 1001),
    ("1,001-5,000", 1001),
    ("1.001-5.000", 1001),
    ("5001-10,000", 5001),
    ("10001+", 10001),
    ("10,001+", 10001),
    ("10.001+", 10001),
    ("10,000+ employees", 10000),
    ("51 - 200", 51),
    ("51–200", 51),
    ("51—200", 51),
    ("51 to 200", 51),
    ("from 51 to 200", 51),
    ("51 bis 200", 51),
    ("11 bis 50", 11),
    ("11 bis 50 Mitarbeiter", 11),
    ("zwischen 11 und 50", 11),
    ("between 50 and 100", 50),
    ("de 11 à 50", 11),
    ("11 a 50", 11),
    ("51..200", 51),
    ("51-200 employees", 51),
    ("51-200 Mitarbeiter", 51),
    ("11-50 people", 11),
    ("Small (10-49)", 10),
    ("Medium (50-249)", 50),
    ("Large (250+)", 250),
    ("Enterprise (1000+)", 1000),
    ("200+", 200),
    ("200 +", 200),
    ("500+ employees", 500),
    (">500", 500),
    ("> 500", 500),
    (">= 500", 500),
    ("≥500", 500),
    ("more than 500", 500),
    ("over 1000", 1000),
    ("mehr als 500", 500),
    ("über 500", 500),
    ("ab 500", 500),
    ("plus de 500", 500),
    ("más de 500", 500),
    ("mais de 500", 500),
    ("oltre 500", 500),
    ("500 or more", 500),
    ("500 and above", 500),
    ("1k", 1000),
    ("1k+", 1000),
    ("1K+", 1000),
    ("1.5k", 1500),
    ("1,5k", 1500),
    ("2.5K", 2500),
    ("10k+", 10000),
    ("1k-5k", 1000),
    ("1K - 5K", 1000),
    ("10K-50K", 10000),
    ("100k+", 100000),
    ("2 tsd", 2000),
    ("<10", 1),
    ("< 10", 1),
    ("<50", 1),
    ("≤10", 1),
    ("under 10", 1),
    ("up to 10", 1),
    ("less than 10", 1),
    ("fewer than 50", 1),
    ("bis 10", 1),
    ("bis zu 10", 1),
    ("unter 50", 1),
    ("weniger als 10", 1),
    ("moins de 10", 1),
    ("hasta 10", 1),
    ("menos de 10", 1),
    ("fino a 10", 1),
    ("0-10", 1),
    ("0 - 50", 1),
    ("just me", 1),
    ("Just me", 1),
    ("only me", 1),
    ("Solo", 1),
    ("self-employed", 1),
    ("Self employed", 1),
    ("freelancer", 1),
    ("Einzelunternehmer", 1),
    ("nur ich", 1),
    ("sole trader", 1),
    ("25 Mitarbeitende", 25),
    ("100 empleados", 100),
    ("100 salariés", 100),
    ("100 dipendenti", 100),
    ("３００", 300),
    ("51-200人", 51),
    ("501 to 1,000 employees", 501),
]

NO_SIZES = [
    "",
    "none",
    "n/a",
    "many",
    "Enterprise",
    "SMB",
    "small",
    "dozens",
    "-",
    "0",
    "-5",
    "200-51",
    "1.5",
    "2,5",
    "50%",
    "10-20-30",
    "1-10, 11-50",
    "99999999999999999999",
    "6,000,000",
    "jane2@example.com",
    "\x00",
    "0-0",
]

WEBSITES = [
    ("acme.com", "https://acme.com"),
    ("www.acme.com", "https://www.acme.com"),
    ("WWW.ACME.COM", "https://www.acme.com"),
    ("http://acme.com", "http://acme.com"),
    ("https://acme.com/", "https://acme.com"),
    ("https://acme.com/de/about", "https://acme.com/de/about"),
    ("HTTPS://Acme.com/Path", "https://acme.com/Path"),
    ("https://acme.com?utm_source=x", "https://acme.com"),
    ("https://acme.com/#top", "https://acme.com"),
    ("https://user:pw@acme.com:8443/x", "https://acme.com/x"),
    (" acme.com ", "https://acme.com"),
    ("acme.com.", "https://acme.com"),
    ("münchen.de", "https://xn--mnchen-3ya.de"),
    ("https://acme.com/a\r\nSet-Cookie: x", "https://acme.com/a"),
    ("javascript:alert(1)", None),
    ("javascript://acme.com/%0aalert(1)", None),
    ("ftp://acme.com", None),
    ("n/a", None),
    ("none", None),
    ("acme", None),
    ("http://", None),
    ("http://localhost", None),
    ("http://10.0.0.1", None),
    ("jane doe", None),
    ("https://acme .com", None),
    ("data:text/html,x", None),
    ("https://a_b.com", None),
]


@pytest.mark.parametrize(("typed", "folded"), FOLDS)
def test_spellings_of_one_company_fold_alike(typed, folded):
    assert fold_company(typed) == folded


@pytest.mark.parametrize(("typed", "folded"), FOLDS)
def test_folding_a_folded_company_changes_nothing(typed, folded):
    assert fold_company(folded) == folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme", "Acme Labs"),
        ("Acme Software", "Acme Consulting"),
        ("Delta", "Delta Air Lines"),
        ("3M", "M3"),
        ("T-Mobile US, Inc.", "T-Mobile Ltd"),
    ],
)
def test_different_companies_fold_apart(one, other):
    assert fold_company(one) != fold_company(other)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("n/a", "placeholder"),
        ("-", "placeholder"),
        ("none", "placeholder"),
        ("test", "placeholder"),
        ("private", "no_company"),
        ("Privat", "no_company"),
        ("Self-employed", "no_company"),
        ("Freelancer", "no_company"),
        ("student", "no_company"),
        ("N.A.", "placeholder"),
    ],
)
def test_what_names_no_company_stays_unset_with_a_reason(typed, reason):
    assert read_company(typed) == (None, reason)


def test_a_company_is_shown_as_written():
    assert read_company("  ACME\r\nGmbH & Co. KG ") == ("ACME GmbH & Co. KG", None)


@pytest.mark.parametrize(
    "company",
    [
        "Bäckerei Huber e.K.",
        "Jane Doe (freelance)",
        "Doe Sole Trader",
        "Huber Einzelunternehmen",
        "Smith & Sons Partnership",
    ],
)
def test_a_sole_trader_is_told_by_the_name(company):
    assert is_sole_trader(company)


@pytest.mark.parametrize("company", ["Acme GmbH", "Acme Partners Ltd", "Ekso AG"])
def test_a_legal_body_is_no_sole_trader(company):
    assert not is_sole_trader(company)


@pytest.mark.parametrize(("typed", "people"), SIZES)
def test_a_company_size_is_the_number_that_is_certain(typed, people):
    assert read_employees(typed) == people


@pytest.mark.parametrize("typed", NO_SIZES)
def test_what_is_not_certainly_a_size_stays_unset(typed):
    assert read_employees(typed) is None


@pytest.mark.parametrize(("typed", "website"), WEBSITES)
def test_a_website_is_an_address_without_query_user_or_port(typed, website):
    assert read_website(typed) == website


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("acme.com", "acme.com"),
        ("mail.acme.com", "acme.com"),
        ("www.shop.acme.co.uk", "acme.co.uk"),
        ("acme.com.br", "acme.com.br"),
        ("a.b.acme.co.jp", "acme.co.jp"),
        ("acme.github.io", "acme.github.io"),
        ("co.uk", None),
        ("acme.example", "acme.example"),
    ],
)
def test_the_registrable_domain_stands_for_the_company(host, domain):
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    "website",
    [
        "https://linkedin.com/company/acme",
        "https://www.facebook.com/acme",
        "https://gmail.com",
        "https://de.linkedin.com",
    ],
)
def test_a_page_on_a_shared_site_stands_for_no_company(website):
    assert domain_of_website(website) is None
