"""Shapes of the HTTP answers and requests."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from consent.domain.decide import Decision
from consent.domain.statements import Channel, Purpose
from consent.domain.verdict import LeadDecision
from shared.db import Record
from shared.http import Strict


class ConsideredView(BaseModel):
    """A step or rule that was looked at, and what came of it."""

    rule_id: str
    outcome: str
    evidence_id: str | None = None


class ChannelView(BaseModel):
    """The answer for one channel, with everything considered, in order."""

    channel: str
    allowed: bool
    rule_id: str
    reason: str
    jurisdiction: str
    evidence_ids: list[str]
    expires_at: datetime | None
    considered: list[ConsideredView]

    @classmethod
    def of(cls, channel: str, decision: Decision) -> Self:
        """Return the view of a decision."""
        return cls(
            channel=channel,
            allowed=decision.is_allowed,
            rule_id=decision.rule_id,
            reason=decision.reason,
            jurisdiction=decision.jurisdiction,
            evidence_ids=list(decision.evidence_ids),
            expires_at=decision.expires_at,
            considered=[
                ConsideredView(rule_id=step.rule_id, outcome=step.outcome, evidence_id=step.evidence_id)
                for step in decision.considered
            ],
        )


class DecisionView(BaseModel):
    """A decision about one lead for one purpose."""

    decision_id: str
    purpose: str
    decided_at: datetime
    table_version: str
    jurisdiction: str
    subject_kind: str
    suppressed_channels: list[str]
    channels: list[ChannelView]

    @classmethod
    def of(cls, decision: LeadDecision) -> Self:
        """Return the view of a stored decision."""
        return cls(
            decision_id=decision.decision_id,
            purpose=decision.purpose,
            decided_at=decision.decided_at,
            table_version=decision.table_version,
            jurisdiction=decision.jurisdiction,
            subject_kind=decision.subject_kind,
            suppressed_channels=list(decision.suppressed_channels),
            channels=[ChannelView.of(channel, one) for channel, one in decision.channels.items()],
        )


class LedgerEntry(BaseModel):
    """One row of the ledger (ISO/IEC TS 27560 event)."""

    record_id: str
    state: str
    purposes: list[str]
    channels: list[str]
    happened_at: datetime
    known_at: datetime
    method: str
    lawful_basis: str
    notice_version: str | None
    text_shown: str | None
    is_double_opt_in: bool
    actor: str

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the view of a row."""
        return cls(**{name: row[name] for name in cls.model_fields})


class LeadConsentView(BaseModel):
    """Where a lead stands at an instant: may sales contact it, the last decision with its trace, and the ledger, newest
    first."""

    lead_id: str
    at: datetime
    may_contact: bool
    now: list[ChannelView]
    last_decision: DecisionView | None
    ledger: list[LedgerEntry]


class StatementRequest(Strict):
    """What a person said. ``happened_at`` defaults to now and must not be in the future."""

    purposes: list[Purpose] = Field(default=["sales_contact", "marketing"], min_length=1)
    channels: list[Channel] = Field(default=["email", "phone", "sms"], min_length=1)
    method: Annotated[str, Field(min_length=2, max_length=60, pattern=r"^[a-z0-9_]+$")] = "api"
    happened_at: AwareDatetime | None = None
    why: Annotated[str | None, Field(max_length=500)] = None


class GrantRequest(StatementRequest):
    """A grant needs its proof: which notice the person saw, and the words."""

    purposes: Annotated[list[Purpose], Field(min_length=1)]
    channels: Annotated[list[Channel], Field(min_length=1)]
    method: Annotated[str, Field(min_length=2, max_length=60, pattern=r"^[a-z0-9_]+$")]
    notice_version: Annotated[str, Field(min_length=1, max_length=100)]
    text_shown: Annotated[str, Field(min_length=1, max_length=4000)]
    lawful_basis: Literal["consent", "contract", "legitimate_interest", "legal_obligation"] = "consent"
    is_double_opt_in: bool = False


class StatementAnswer(BaseModel):
    """What the statement changed."""

    record_id: str
    duplicate: bool
    may_contact: bool


class QuestionRequest(Strict):
    """Either a lead, or an address with a country. ``at`` defaults to now."""

    lead_id: str | None = Field(default=None, max_length=36)
    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=40)
    country: str | None = Field(default=None, max_length=2)
    region: str | None = Field(default=None, max_length=6)
    subject_kind: Literal["individual", "corporate"] = "individual"
    purpose: str = Field(default="sales_contact", max_length=40)
    channel: str = Field(default="email", max_length=20)
    at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.lead_id is None and self.email is None and self.phone is None:
            raise ValueError("name a lead_id, an email or a phone")
        return self


class QuestionsRequest(Strict):
    """One to a thousand questions."""

    questions: Annotated[list[QuestionRequest], Field(min_length=1, max_length=1000)]


class AnswersView(BaseModel):
    """One answer per question, in order."""

    answers: list[ChannelView]


class SuppressionRequest(Strict):
    """An address in clear (hashed at once, not kept) or already hashed with our pepper."""

    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=40)
    address_hash: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    channels: list[Channel] = Field(default=["email", "phone", "sms"], min_length=1)
    why: Annotated[str, Field(min_length=3, max_length=500)]

    @model_validator(mode="after")
    def _is_one_address(self) -> Self:
        if [self.email, self.phone, self.address_hash].count(None) != 2:
            raise ValueError("give exactly one of email, phone, address_hash")
        return self


class SuppressionView(BaseModel):
    """One suppressed address."""

    address_hash: str
    channels: list[str]
    reason: str
    added_at: datetime
    added_by: str


class Release(Strict):
    """Why an address leaves the list; kept in the audit."""

    why: Annotated[str, Field(min_length=3, max_length=500)]
