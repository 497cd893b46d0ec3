"""From the lead as mapped to the lead as enriched."""

from dataclasses import dataclass
from typing import Literal

from ingest.domain.normalisation.company import (
    domain_of_website,
    is_sole_trader,
    read_company,
    read_website,
    registrable_domain,
)
from ingest.domain.normalisation.country import has_regions, is_country_code, read_country, read_region
from ingest.domain.normalisation.email import Email, email_kind, is_student_host, read_email
from ingest.domain.normalisation.employees import are_plausible, read_employees
from ingest.domain.normalisation.industry import read_industry
from ingest.domain.normalisation.language import read_language
from ingest.domain.normalisation.name import read_name
from ingest.domain.normalisation.phone import Phone, read_phone
from ingest.domain.normalisation.reference import free_domains
from ingest.domain.normalisation.text import clean
from ingest.domain.normalisation.title import Role, read_title
from shared.contracts.lead import EmailKind, Facts, Lead

_UNKNOWN_ROLE = Role("unknown", "unknown")
_STAFF = frozenset({"manager", "director", "vp", "c_level"})
_MOST_CUSTOM_FIELDS = 50

Notes = dict[str, str]


@dataclass(frozen=True, slots=True)
class EnrichSettings:
    """``competitor_domains``: registrable, lower case. ``default_country``: whose national numbers a lead without a
    country writes (alpha-2); it is used to read phones and never becomes the lead's country."""

    competitor_domains: frozenset[str] = frozenset()
    default_country: str | None = None


def enrich(lead: Lead, settings: EnrichSettings) -> tuple[Lead, Facts]:
    """Normalise *lead* and say what it tells. Never raises; enriching an enriched lead changes nothing of it.

    A field is set when it is certain. Otherwise it is None and ``facts.notes`` has the reason as a code; a field that
    was not given has no note. Every text is one printable line of bounded length. CPU of a lead never seen
    before (timeit, process time, Python 3.11): 59 µs with every field filled, 50 µs as a form sends it, 27 of them the
    phone; e-mail 2, its kind 1, name 0.4 (15 in capitals), title 5, website 2, company domain 2, employees 4.
    """
    notes: Notes = {}
    email = _email(lead.email, notes)
    country, region = _place(lead, notes)
    phone = _phone(lead.phone, country or settings.default_country, notes)
    if country is None and "country" not in notes:
        country = _country_of_evidence(phone, email)
    first_name, last_name, name_problem = read_name(lead.first_name, lead.last_name)
    if name_problem is not None:
        notes["last_name"] = name_problem
    company, company_problem = read_company(lead.company)
    if company_problem is not None:
        notes["company"] = company_problem
    title = clean(lead.title, 150)
    role = read_title(title) if title is not None else _UNKNOWN_ROLE
    if title is not None and role.seniority == "unknown":
        notes["seniority"] = "title_not_known"
    website = _website(lead.website, notes)
    kind = _kind(email, role, notes)
    domain = _company_domain(email, kind, website)
    enriched = Lead(
        email=email.delivery,
        phone=phone.e164,
        first_name=first_name,
        last_name=last_name,
        title=title,
        company=company,
        website=website,
        country=country,
        region=region,
        city=_city(lead.city),
        industry=_industry(lead.industry, notes),
        employees=_employees(lead, notes),
        language=_language(lead.language, notes),
        message=clean(lead.message, 5000),
        custom=_custom(lead.custom),
    )
    facts = Facts(
        email_kind=kind,
        company_domain=domain,
        seniority=role.seniority,
        department=role.department,
        is_competitor=_is_competitor(email, website, settings.competitor_domains),
        subject_kind=_subject_kind(company, email, kind),
        notes=notes,
    )
    return enriched, facts


def load_tables() -> None:
    """Read every list and table now: 0.24 s of CPU that the first lead of a process waits for otherwise."""
    needs_every_table = Lead(
        email="jane@example.com",
        phone="+4930901820",
        last_name="DR. VAN DOE",
        title="Head of Sales",
        company="Doe Trading",
        website="example.org",
        country="Germany",
        region="Bavaria",
        industry="Software",
        language="English",
        custom={"employees_as_sent": "up to 10"},
    )
    enrich(needs_every_table, EnrichSettings())


def _email(text: str | None, notes: Notes) -> Email:
    if text is None:
        return Email(None, None)
    email = read_email(text)
    if email.problem is not None:
        notes["email"] = email.problem
    elif email.is_lookalike:
        notes["email"] = "mixed_script"  # kept, and folded apart from what it looks like: a person decides
    return email


def _kind(email: Email, role: Role, notes: Notes) -> EmailKind:
    if email.folded is None:
        return "unknown"
    kind = email_kind(email.folded)
    if kind == "student" and role.seniority in _STAFF and not is_student_host(email.folded.rpartition("@")[2]):
        notes["email_kind"] = "academic_staff"
        return "business"  # the university's head of purchasing is a buyer
    return kind


def _place(lead: Lead, notes: Notes) -> tuple[str | None, str | None]:
    country_text, region_text = clean(lead.country, 100), clean(lead.region, 100)
    country = read_country(country_text) if country_text is not None else None
    if country_text is not None and country is None:
        notes["country"] = "not_known"
    if region_text is None:
        return country, None
    is_stated_unread = country is None and country_text is not None  # a full code beside it may contradict it
    region = None if is_stated_unread else read_region(region_text, country)
    if region is not None:
        return country or region[:2], region
    is_listed = country is None or has_regions(country)
    notes["region"] = "country_needed" if country is None else "not_known" if is_listed else "country_without_table"
    return country, None


def _phone(text: str | None, country: str | None, notes: Notes) -> Phone:
    if text is None:
        return Phone(None)
    phone = read_phone(text, country)
    if phone.problem is not None:
        notes["phone"] = phone.problem
    return phone


def _country_of_evidence(phone: Phone, email: Email) -> str | None:
    """The country that the phone's prefix and the e-mail's domain agree on. One of them alone is not certain: people
    keep numbers when they move, and a country decides which consent rules apply."""
    if phone.country is None or email.folded is None:
        return None
    ending = email.folded.rpartition(".")[2].upper()
    return (
        phone.country
        if phone.country == ("GB" if ending == "UK" else ending) and is_country_code(phone.country)
        else None
    )


def _website(text: str | None, notes: Notes) -> str | None:
    if text is None or clean(text, 500) is None:
        return None
    website = read_website(text)
    if website is None:
        notes["website"] = "not_an_address"
    return website


def _company_domain(email: Email, kind: EmailKind, website: str | None) -> str | None:
    if email.folded is not None and kind in {"business", "role"}:
        domain = registrable_domain(email.folded.rpartition("@")[2])
        if domain is not None and domain not in free_domains():
            return domain
    return None if website is None else domain_of_website(website)


def _is_competitor(email: Email, website: str | None, competitors: frozenset[str]) -> bool:
    if not competitors:
        return False
    hosts = [email.folded.rpartition("@")[2]] if email.folded is not None else []
    if website is not None:
        hosts.append(website.partition("://")[2].partition("/")[0])
    return any(_is_below(host, competitors) for host in hosts)


def _is_below(host: str, domains: frozenset[str]) -> bool:
    while host:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


def _subject_kind(company: str | None, email: Email, kind: EmailKind) -> Literal["individual", "corporate"]:
    """Corporate only where the law cannot mean a person: a named company, no sole trader, mail at its own domain."""
    if company is None or email.folded is None or is_sole_trader(company):
        return "individual"
    is_own_domain = kind == "business" or (kind == "role" and email.folded.rpartition("@")[2] not in free_domains())
    return "corporate" if is_own_domain else "individual"


def _city(text: str | None) -> str | None:
    city = clean(text, 100)
    if city is None or not city.isupper() or len(city) <= 3:
        return city
    return clean(" ".join(word[:1] + word[1:].lower() for word in city.split()), 100)


def _industry(text: str | None, notes: Notes) -> str | None:
    text = clean(text, 200)
    if text is None:
        return None
    industry = read_industry(text)
    if industry is None:
        notes["industry"] = "not_in_scheme"
    return industry


def _employees(lead: Lead, notes: Notes) -> int | None:
    """What the sender wrote, where the mapping kept it ("1k+"), wins over the number the mapping could see in it."""
    as_sent = lead.custom.get("employees_as_sent")
    employees = lead.employees if as_sent is None else read_employees(as_sent)
    if employees is not None and are_plausible(employees):
        return employees
    if employees is not None or as_sent is not None:
        notes["employees"] = "not_a_size"
    return None


def _language(text: str | None, notes: Notes) -> str | None:
    text = clean(text, 60)
    if text is None:
        return None
    language = read_language(text)
    if language is None:
        notes["language"] = "not_known"
    return language


def _custom(fields: dict[str, str]) -> dict[str, str]:
    cleaned: dict[str, str] = {}
    for name, value in fields.items():
        key, text = clean(name, 100), clean(value, 1000)
        if key is not None and text is not None and len(cleaned) < _MOST_CUSTOM_FIELDS:
            cleaned.setdefault(key, text)
    return cleaned
