"""What holds for any text whatever."""

import string
import unicodedata

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.normalisation import (
    EnrichSettings,
    delivery_email,
    enrich,
    fold_email,
    fold_phone,
    read_employees,
    read_name,
)
from ingest.domain.normalisation.company import fold_company
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
