"""What enrichment promises about the whole lead."""

import string
import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.normalisation import (
    EnrichSettings,
    delivery_email,
    enrich,
    fold_email,
    fold_phone,
    load_tables,
    read_employees,
    read_name,
)
from ingest.domain.normalisation.company import fold_company
from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import clean
from shared.contracts.lead import Facts, Lead

SETTINGS = EnrichSettings(competitor_domains=frozenset({"rival.com"}), default_country="DE")
PLAIN = EnrichSettings()

# Pieces that make a parser think: typed values, separators, invisible and combining characters.
FRAGMENTS = st.sampled_from(
    [
        "jane",
        "DOE",
        "@",
        "example.com",
        "ACME",
        "GmbH",
        "& Co. KG",
        "van",
        "O'",
        "Mc",
        "Dr.",
        ",",
        " ",
        "\r\n",
        "\x00",
        "\u202e",
        "\u200d",
        "\u0301",
        "İ",
        "ß",
        "ŉ",
        "ﬁ",
        "Ω",
        "аррӏе",
        "＠",
        "．",
        "🇩🇪",
        "🚀",
        "\ud800",
        "+49",
        "0049",
        "(0)",
        "151 23456789",
        "1k+",
        "51-200",
        "<",
        "xn--",
        "--",
        "..",
        "/",
        "://",
        "https",
        "US-CA",
        "CA",
        "Germany",
        "Head of",
        "Sales",
        "CEO",
        "software",
        "½",
        "٣",
        "ǅ",
        "ﷺ",
        "\u1fb3",
        "e\u0323\u0307",
        "'",
        '"',
        "(",
        ")",
        ".",
        "-",
        "_",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=string.printable, max_size=40),
    st.lists(FRAGMENTS, max_size=6).map("".join),
)
MAYBE = st.none() | TEXTS
LEADS = st.builds(
    Lead,
    email=MAYBE,
    phone=MAYBE,
    first_name=MAYBE,
    last_name=MAYBE,
    title=MAYBE,
    company=MAYBE,
    website=MAYBE,
    country=MAYBE,
    region=MAYBE,
    city=MAYBE,
    industry=MAYBE,
    employees=st.none() | st.integers(),
    language=MAYBE,
    message=MAYBE,
    custom=st.dictionaries(TEXTS | st.just("employees_as_sent"), TEXTS, max_size=3),
)


def texts_of(lead: Lead) -> list[str]:
    fields = msgspec.structs.asdict(lead)
    custom = fields.pop("custom")
    return [value for value in [*fields.values(), *custom, *custom.values()] if isinstance(value, str)]


def make_lead(**fields) -> Lead:
    return Lead(**{"email": "jane@acme-industries.com", **fields})


def enriched(**fields) -> Lead:
    return enrich(make_lead(**fields), PLAIN)[0]


def facts_of(**fields) -> Facts:
    return enrich(make_lead(**fields), SETTINGS)[1]


@settings(max_examples=100, deadline=None)
@given(LEADS)
def test_enriching_an_enriched_lead_changes_nothing(lead):
    once, facts = enrich(lead, SETTINGS)
    twice, facts_again = enrich(once, SETTINGS)
    assert twice == once
    assert msgspec.structs.replace(facts_again, notes={}) == msgspec.structs.replace(facts, notes={})


@settings(max_examples=100, deadline=None)
@given(LEADS)
def test_no_control_character_survives_into_any_field(lead):
    once, facts = enrich(lead, SETTINGS)
    everything = "".join([*texts_of(once), *facts.notes, *facts.notes.values(), facts.company_domain or ""])
    assert not {unicodedata.category(character) for character in everything} & {"Cc", "Cs", "Cn", "Zl", "Zp"}


@settings(max_examples=50, deadline=None)
@given(LEADS)
def test_an_enriched_lead_travels_as_json(lead):
    once, _ = enrich(lead, SETTINGS)
    assert msgspec.json.decode(msgspec.json.encode(once), type=Lead) == once


@settings(max_examples=100, deadline=None)
@given(LEADS)
def test_notes_are_codes_and_hold_no_value(lead):
    _, facts = enrich(lead, SETTINGS)
    assert all(set(note) <= {*string.ascii_lowercase, "_"} for note in facts.notes.values())
    assert facts.notes.keys() <= {*Lead.__struct_fields__, *Facts.__struct_fields__}


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_folding_a_folded_address_changes_nothing(text):
    folded = fold_email(text)
    assert folded is None or fold_email(folded) == folded


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(["gmail.com", "EXAMPLE.com", "münchen.de"]))
def test_folding_the_delivery_form_gives_the_same_identity(local, domain):
    folded = fold_email(f"{local}@{domain}")
    assert folded is None or fold_email(delivery_email(f"{local}@{domain}")) == folded


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.none() | st.sampled_from(["DE", "US", "GB", "IT", "XX"]) | TEXTS)
def test_folding_a_folded_phone_changes_nothing(text, country):
    folded = fold_phone(text, country)
    assert folded is None or fold_phone(folded) == fold_phone(folded, "US") == folded


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_folding_a_folded_company_name_changes_nothing(text):
    assert fold_company(fold_company(text)) == fold_company(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.integers(min_value=1, max_value=60))
def test_clean_text_is_bounded_and_stays_as_it_is(text, limit):
    once = clean(text, limit)
    assert once is None or (len(once) <= limit and clean(once, limit) == once)


@settings(max_examples=50, deadline=None)
@given(MAYBE, MAYBE)
def test_any_two_texts_are_read_as_a_name_without_an_error(first, last):
    read = read_name(first, last)
    assert read_name(read[0], read[1])[:2] == read[:2]


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_a_company_size_is_a_number_of_people_or_none(text):
    assert 1 <= (read_employees(text) or 1) <= 5_000_000


@pytest.mark.parametrize("field", sorted(set(Lead.__struct_fields__) - {"employees", "custom"}))
def test_a_megabyte_in_a_field_is_bounded(field):
    lead = enriched(**{field: "Aé1@. -" * 150_000})
    assert all(len(text) <= 5000 for text in texts_of(lead))


def test_a_megabyte_of_custom_fields_is_bounded():
    lead = enriched(custom={f"field {number}": "x" * 20_000 for number in range(80)})
    assert len(lead.custom) == 50
    assert max(map(len, lead.custom.values())) == 1000


def test_every_field_of_a_typical_lead_is_normalised():
    lead, facts = enrich(
        Lead(
            email="Jane.Doe@Acme-Industries.DE",
            phone="0151 23456789",
            first_name="JANE",
            last_name="VAN DER BERG",
            title=" Head of  Marketing ",
            company="Acme GmbH",
            website="WWW.acme-industries.de/?utm_source=x",
            country="Deutschland",
            region="Bayern",
            city="MÜNCHEN",
            industry="Maschinenbau",
            employees=1,
            language="de_DE",
            message="Bitte\r\nanrufen",
            custom={"employees_as_sent": "1k+", "note\x00": "a\tb"},
        ),
        PLAIN,
    )
    assert lead == Lead(
        email="Jane.Doe@acme-industries.de",
        phone="+4915123456789",
        first_name="Jane",
        last_name="van der Berg",
        title="Head of Marketing",
        company="Acme GmbH",
        website="https://www.acme-industries.de",
        country="DE",
        region="DE-BY",
        city="München",
        industry="manufacturing",
        employees=1000,
        language="de-DE",
        message="Bitte anrufen",
        custom={"employees_as_sent": "1k+", "note": "a b"},
    )
    assert facts == Facts(
        email_kind="business",
        company_domain="acme-industries.de",
        seniority="director",
        department="marketing",
        subject_kind="corporate",
    )


def test_what_stays_unset_says_why():
    lead, facts = enrich(
        Lead(
            email="none",
            phone="call me",
            first_name="-",
            company="n/a",
            website="none",
            country="German",
            region="Bayern",
            industry="Underwater basketry",
            employees=0,
            language="klingon",
            title="Ninja",
        ),
        PLAIN,
    )
    assert lead == Lead(title="Ninja")
    assert facts.notes == {
        "email": "not_an_address",
        "phone": "not_a_number",
        "last_name": "placeholder",
        "company": "placeholder",
        "website": "not_an_address",
        "country": "not_known",
        "region": "country_needed",
        "industry": "not_in_scheme",
        "employees": "not_a_size",
        "language": "not_known",
        "seniority": "title_not_known",
    }


def test_an_absent_field_has_no_note():
    assert enrich(Lead(), PLAIN) == (Lead(), Facts())


def test_a_phone_alone_sets_no_country():
    assert enriched(email="jane@acme-industries.com", phone="+49 151 23456789").country is None


def test_a_phone_and_a_domain_that_agree_set_the_country():
    assert enriched(email="jane@acme-industries.de", phone="+49 151 23456789").country == "DE"
    assert enriched(email="jane@acme.co.uk", phone="+44 20 7946 0958").country == "GB"


def test_a_stated_country_wins_over_phone_and_domain():
    assert enriched(email="jane@acme-industries.de", phone="+49 151 23456789", country="Austria").country == "AT"


def test_the_default_country_reads_phones_and_is_no_country_of_the_lead():
    lead, _ = enrich(make_lead(phone="0151 23456789"), SETTINGS)
    assert (lead.phone, lead.country) == ("+4915123456789", None)


def test_a_full_region_code_names_its_country():
    assert (enriched(region="us-ca").region, enriched(region="us-ca").country) == ("US-CA", "US")


def test_a_region_of_another_country_stays_unset():
    assert enriched(country="DE", region="US-CA").region is None


def test_a_region_beside_an_unknown_country_stays_unset():
    lead = enriched(country="Atlantis", region="US-CA")
    assert (lead.country, lead.region) == (None, None)


def test_a_company_with_mail_at_its_own_domain_is_corporate():
    assert facts_of(company="Acme").subject_kind == "corporate"
    assert facts_of(company="Acme", email="info@acme-industries.com").subject_kind == "corporate"


@pytest.mark.parametrize(
    "fields",
    [
        {"company": None},
        {"company": "n/a"},
        {"company": "Acme", "email": "jane@gmail.com"},
        {"company": "Acme", "email": "info@gmail.com"},
        {"company": "Acme", "email": "jane@mailinator.com"},
        {"company": "Acme", "email": "jane@mit.edu"},
        {"company": "Huber e.K."},
        {"company": "Acme", "email": None},
    ],
)
def test_whatever_may_be_a_private_person_is_an_individual(fields):
    assert facts_of(**fields).subject_kind == "individual"


@pytest.mark.parametrize(
    "fields",
    [{"email": "joe@rival.com"}, {"email": "joe@eu.rival.com"}, {"email": "joe@gmail.com", "website": "www.rival.com"}],
)
def test_a_competitor_is_told_by_mail_or_website(fields):
    assert facts_of(**fields).is_competitor


@pytest.mark.parametrize("email", ["joe@notrival.com", "joe@rival.com.example", "rival.com@gmail.com", None])
def test_a_name_that_only_contains_a_competitors_is_none(email):
    assert not facts_of(email=email).is_competitor


def test_a_free_mailbox_leaves_the_company_domain_to_the_website():
    assert facts_of(email="jane@gmail.com", website="https://www.acme.co.uk/about").company_domain == "acme.co.uk"
    assert facts_of(email="jane@gmail.com", website="linkedin.com/company/acme").company_domain is None
    assert facts_of(email="jane@gmail.com").company_domain is None


def test_a_universitys_management_is_business_and_its_students_are_not():
    assert facts_of(email="jane@mit.edu", title="Head of Procurement").email_kind == "business"
    assert facts_of(email="jane@mit.edu", title="Research Assistant").email_kind == "student"
    assert facts_of(email="jane@stud.tu-berlin.de", title="CEO").email_kind == "student"


def test_a_look_alike_address_is_kept_and_flagged():
    lead, facts = enrich(Lead(email="jаne@acme.com"), PLAIN)
    assert lead.email is not None
    assert facts.notes == {"email": "mixed_script"}


def test_tables_loaded_ahead_leave_nothing_for_the_first_lead_to_load():
    load_tables()
    loaded = table.cache_info().misses
    enriched(
        title="CEO", company="Acme", country="FR", region="Paris", industry="Bau", language="Deutsch", website="a.de"
    )
    assert table.cache_info().misses == loaded
