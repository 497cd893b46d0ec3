"""The closed list of what routing rules may look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from shared.contracts import LeadCleared

Value = str | float | bool | None
Inputs = Mapping[str, Value]
"""What a decision looked at: the name of each field the rules read, with its value for this lead. None = not known."""

Sort = Literal["text", "number", "flag"]


@dataclass(frozen=True, slots=True)
class Field:
    """One input of routing rules."""

    name: str
    sort: Sort
    read: Callable[[LeadCleared], Value]
    meaning: str


def read_inputs(fields: tuple[Field, ...], case: LeadCleared) -> dict[str, Value]:
    """Return the value of each of *fields* for *case*. ``unknown`` and empty text become None: not known."""
    inputs: dict[str, Value] = {}
    for field in fields:
        value = field.read(case)
        inputs[field.name] = None if value in {"", "unknown"} else value
    return inputs


_ALL = (
    Field("lead.country", "text", lambda c: c.lead.country, "ISO 3166-1 alpha-2, such as DE"),
    Field("lead.region", "text", lambda c: c.lead.region, "ISO 3166-2, such as US-CA"),
    Field("lead.city", "text", lambda c: c.lead.city, "city as the sender gave it"),
    Field("lead.language", "text", lambda c: c.lead.language, "language tag, such as de or pt-BR"),
    Field("lead.industry", "text", lambda c: c.lead.industry, "industry as the sender gave it"),
    Field("lead.employees", "number", lambda c: c.lead.employees, "people in the company"),
    Field("facts.seniority", "text", lambda c: c.facts.seniority, "c_level, vp, director, manager, senior, individual"),
    Field("facts.department", "text", lambda c: c.facts.department, "sales, marketing, it, finance, …"),
    Field("facts.company_domain", "text", lambda c: c.facts.company_domain, "domain of the company, such as acme.com"),
    Field("facts.email_kind", "text", lambda c: c.facts.email_kind, "business, free, disposable, role, student"),
    Field("facts.subject_kind", "text", lambda c: c.facts.subject_kind, "individual or corporate"),
    Field("facts.is_competitor", "flag", lambda c: c.facts.is_competitor, "the company competes with us"),
    Field("score.points", "number", lambda c: c.score.points, "0 to 100"),
    Field("score.fit", "number", lambda c: c.score.fit, "0 to 60"),
    Field("score.grade", "text", lambda c: c.score.grade, "A, B, C or D"),
    Field("score.is_mql", "flag", lambda c: c.score.is_mql, "marketing-qualified"),
    Field("origin.source_kind", "text", lambda c: c.origin.source_kind, "kind of source, such as form or zoom"),
    Field("origin.source_key", "text", lambda c: c.origin.source_key, "key of the source"),
    Field("origin.is_new_lead", "flag", lambda c: c.origin.is_new_lead, "the submission made the lead"),
    Field("touch.utm_source", "text", lambda c: c.origin.touch.utm_source, "utm_source of the submission"),
    Field("touch.utm_medium", "text", lambda c: c.origin.touch.utm_medium, "utm_medium of the submission"),
    Field("touch.utm_campaign", "text", lambda c: c.origin.touch.utm_campaign, "utm_campaign of the submission"),
    Field("verdict.jurisdiction", "text", lambda c: c.verdict.jurisdiction, "whose consent rules applied"),
    Field("verdict.may_email", "flag", lambda c: "email" in c.verdict.channels, "consent allows e-mail"),
    Field("verdict.may_phone", "flag", lambda c: "phone" in c.verdict.channels, "consent allows calls"),
)
FIELDS: dict[str, Field] = {field.name: field for field in _ALL}
