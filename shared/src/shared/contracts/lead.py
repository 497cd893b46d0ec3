"""The lead as it travels through the pipeline, and where it came from."""

from datetime import datetime
from typing import Literal

import msgspec

EmailKind = Literal["business", "free", "disposable", "role", "student", "unknown"]
"""What sort of mailbox an address is. ``role`` wins over ``business``; ``disposable`` wins over all."""

Seniority = Literal["c_level", "vp", "director", "manager", "senior", "individual", "student", "unknown"]

Department = Literal[
    "sales", "marketing", "engineering", "it", "finance", "operations", "hr", "legal", "product", "procurement",
    "executive", "other", "unknown",
]  # fmt: skip


class Touch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Marketing attribution of one submission: the five UTM parameters, click ids, page and referrer, as sent."""

    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    click_id: str | None = None
    landing_page: str | None = None
    referrer: str | None = None


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The submission record that an event goes back to.

    ``record_id`` is one record inside a submission (one delivery may hold many): the ledger counts records.
    ``received_at`` is the instant ingest took the request in; every speed-to-lead figure starts there.
    """

    submission_id: str
    record_id: str
    source_key: str
    source_kind: str
    received_at: datetime
    is_new_lead: bool
    touch: Touch = Touch()


class DeliveryKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """By what ingest recognises a delivery that comes again, within one source. Ingest reads it back itself, after its
    database was restored to an earlier instant. ``fingerprint``: hex digest of the body, with an ``Idempotency-Key``.
    """

    key: str
    fingerprint: str = ""


class ConsentSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A statement about consent that came with a submission. It is evidence, not yet a decision.

    ``state`` given needs notice_version, method and at to count as proof (EU-PROOF). ``purposes`` out of
    sales_contact, marketing, profiling, sale_share; ``channels`` out of email, phone, sms.
    """

    state: Literal["given", "refused", "withdrawn", "objected"]
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    at: datetime
    method: str
    lawful_basis: str = "consent"
    notice_version: str | None = None
    text_shown: str | None = None
    is_double_opt_in: bool = False


class Lead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The person, in a company. Captured: as mapped from the sender. Enriched: normalised; unset = not certain.

    email: delivery form (domain lower case). phone: E.164 once enriched. country: ISO 3166-1 alpha-2 once enriched;
    region: ISO 3166-2 (``US-CA``) where known. employees: a number of people. custom: the sender's other fields.
    """

    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    company: str | None = None
    website: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    industry: str | None = None
    employees: int | None = None
    language: str | None = None
    message: str | None = None
    custom: dict[str, str] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What enrichment concluded about a lead, beside the normalised fields. ``notes``: what stayed unset, and why
    (``{"phone": "not_a_number"}``); codes only, never the value."""

    email_kind: EmailKind = "unknown"
    company_domain: str | None = None
    seniority: Seniority = "unknown"
    department: Department = "unknown"
    is_competitor: bool = False
    subject_kind: Literal["individual", "corporate"] = "individual"
    notes: dict[str, str] = {}


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of scoring at ``scored_at``: points 0..100 after clamping, ``raw`` before; fit 0..60; letter grade."""

    points: float
    raw: float
    fit: float
    engagement: float
    grade: Literal["A", "B", "C", "D"]
    is_mql: bool
    model_version: str
    scored_at: datetime


class ConsentVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to "may sales contact this lead now", per channel. Empty ``channels`` = denied everywhere."""

    decision_id: str
    channels: tuple[str, ...]
    purpose: str
    rule_id: str
    reason: str
    table_version: str
    jurisdiction: str
    decided_at: datetime
    evidence_ids: tuple[str, ...] = ()


class Owner(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who has a lead, and by which rule of which version of the routing document."""

    assignment_id: str
    rep_id: str
    rep_name: str
    team: str
    pool: str
    rule_id: str
    document_version: str
    assigned_at: datetime
