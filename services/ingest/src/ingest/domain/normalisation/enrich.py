"""From the lead as mapped to the lead as enriched."""

from dataclasses import dataclass

from ingest.domain.normalisation.email import email_kind, read_email
from ingest.domain.normalisation.phone import read_phone
from ingest.domain.normalisation.text import clean
from shared.contracts.lead import Facts, Lead


@dataclass(frozen=True, slots=True)
class EnrichSettings:
    """``competitor_domains``: registrable, lower case. ``default_country``: whose national numbers a lead without a
    country writes (alpha-2); it is used to read phones and never becomes the lead's country."""

    competitor_domains: frozenset[str] = frozenset()
    default_country: str | None = None


def enrich(lead: Lead, settings: EnrichSettings) -> tuple[Lead, Facts]:
    notes: dict[str, str] = {}
    email = read_email(lead.email or "")
    phone = read_phone(lead.phone or "", lead.country or settings.default_country)
    return (
        Lead(
            email=email.delivery,
            phone=phone.e164,
            first_name=clean(lead.first_name, 100),
            last_name=clean(lead.last_name, 100),
            title=clean(lead.title, 150),
            company=clean(lead.company, 200),
            website=clean(lead.website, 300),
            country=clean(lead.country, 60),
            region=clean(lead.region, 60),
            city=clean(lead.city, 100),
            industry=clean(lead.industry, 100),
            employees=lead.employees,
            language=clean(lead.language, 20),
            message=clean(lead.message, 5000),
            custom=lead.custom,
        ),
        Facts(email_kind=email_kind(email.folded) if email.folded else "unknown", notes=notes),
    )
