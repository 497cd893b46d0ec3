"""What enrichment promises about the whole lead."""

import msgspec
import pytest

from ingest.domain.normalisation import (
    EnrichSettings,
    enrich,
    load_tables,
)
from ingest.domain.normalisation.reference import table
from shared.contracts.lead import Facts, Lead

SETTINGS = EnrichSettings(competitor_domains=frozenset({"rival.com"}), default_country="DE")
PLAIN = EnrichSettings()


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
