"""What the API says of outcomes."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from scoring.outcomes.outcome import OutcomeKind, Weighed


class OutcomeView(BaseModel):
    """One report of the CRM about a lead, and whether it counts."""

    activity_id: str
    kind: OutcomeKind
    reason: str | None = Field(description="The CRM's code, mostly of a rejection.")
    occurred_at: datetime = Field(description="When it happened, as the CRM said.")
    known_at: datetime = Field(description="When scoring learned of it: before, no backtest knows it.")
    counts: bool = Field(description="Of reports that contradict each other the one that happened last counts.")
    why: str = Field(description="Why it counts, or does not.")
    contradicted_by: str | None = Field(description="The later report (its activity_id) that says otherwise.")

    @classmethod
    def of(cls, weighed: Weighed) -> Self:
        """Return the view of *weighed*."""
        outcome, later = weighed.outcome, weighed.contradicted_by
        return cls(
            activity_id=outcome.activity_id,
            kind=outcome.kind,
            reason=outcome.reason,
            occurred_at=outcome.occurred_at,
            known_at=outcome.known_at,
            counts=weighed.counts,
            why=weighed.why,
            contradicted_by=None if later is None else later.activity_id,
        )
