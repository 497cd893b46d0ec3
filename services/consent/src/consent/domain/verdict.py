"""One lead, all channels: the verdict that travels on, and what it rests on."""

from datetime import datetime
from typing import Final

import msgspec

from consent.domain.decide import Decision, Question, decide
from consent.domain.jurisdictions import jurisdiction_of
from consent.domain.rules import RuleTable
from consent.domain.statements import CHANNELS, Standing
from consent.domain.suppression import is_address
from shared.contracts import ConsentVerdict, Facts, Lead

SALES_CONTACT: Final = "sales_contact"


class LeadDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions per channel for one purpose, with the inputs that made them: enough to decide again."""

    decision_id: str
    purpose: str
    decided_at: datetime
    table_version: str
    jurisdiction: str
    subject_kind: str
    suppressed_channels: tuple[str, ...]
    standing: Standing
    channels: dict[str, Decision]

    @property
    def allowed_channels(self) -> tuple[str, ...]:
        """Return the channels that may be used."""
        return tuple(channel for channel, decision in self.channels.items() if decision.is_allowed)

    @property
    def expires_at(self) -> datetime | None:
        """Return when the last allowed channel runs out; None if none does by time alone."""
        instants = [decision.expires_at for decision in self.channels.values() if decision.is_allowed]
        return max((instant for instant in instants if instant), default=None) if all(instants) and instants else None

    def verdict(self) -> ConsentVerdict:
        """Return what later services see: the first channel that is allowed explains, else the first that is not."""
        chosen = next((one for one in self.channels.values() if one.is_allowed), None)
        explaining = chosen or next(iter(self.channels.values()))
        evidence = {evidence_id for one in self.channels.values() for evidence_id in one.evidence_ids}
        return ConsentVerdict(
            decision_id=self.decision_id,
            channels=self.allowed_channels,
            purpose=self.purpose,
            rule_id=explaining.rule_id,
            reason=explaining.reason,
            table_version=self.table_version,
            jurisdiction=explaining.jurisdiction,
            decided_at=self.decided_at,
            evidence_ids=tuple(sorted(evidence)),
        )


def decide_lead(  # noqa: PLR0913 - the inputs of a decision, each of them stored with it
    table: RuleTable,
    version: str,
    standing: Standing,
    suppressed: frozenset[str],
    *,
    lead: Lead,
    facts: Facts,
    at: datetime,
    decision_id: str,
    purpose: str = SALES_CONTACT,
) -> LeadDecision:
    """Return the decision about *lead* for *purpose* on every channel at *at*."""
    jurisdiction = jurisdiction_of(lead.country, lead.region)
    has_email, has_phone = is_address("email", lead.email), is_address("phone", lead.phone)
    has_address = {"email": has_email, "phone": has_phone, "sms": has_phone}
    channels = {}
    for channel in CHANNELS:
        if not has_address[channel]:
            channels[channel] = Decision(
                is_allowed=False, rule_id="DEFAULT-DENY", reason="no_address", jurisdiction=jurisdiction
            )
            continue
        question = Question(
            purpose=purpose, channel=channel, jurisdiction=jurisdiction, subject_kind=facts.subject_kind, at=at
        )
        channels[channel] = decide(table, standing, suppressed, question)
    return LeadDecision(
        decision_id=decision_id,
        purpose=purpose,
        decided_at=at,
        table_version=version,
        jurisdiction=jurisdiction,
        subject_kind=facts.subject_kind,
        suppressed_channels=tuple(sorted(suppressed)),
        standing=standing,
        channels=channels,
    )
