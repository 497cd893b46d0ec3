"""What a backtest is asked."""

from datetime import timedelta
from typing import Final

from pydantic import Field, ValidationInfo, field_validator

from scoring.outcomes.outcome import Goal
from shared.http import Instant, Strict

BACKTEST: Final = "backtest"
VERSION: Final = "^[0-9]{1,9}$"
LONGEST_PERIOD: Final = timedelta(days=1100)


class BacktestRequest(Strict):
    """Which version to hold against which outcomes."""

    version: str = Field(pattern=VERSION, description="A stored version of the scoring model, live or not.")
    since: Instant = Field(description="Leads decided from this instant on.")
    until: Instant = Field(description="Leads decided before this instant; at most 1,100 days after `since`.")
    horizon_days: int = Field(
        default=90,
        ge=1,
        le=730,
        description="An outcome counts if it happened and was known within so many days after the lead was decided.",
    )
    outcome: Goal = Field(
        default="opportunity",
        description="What the score should foresee. A deal won counts as an opportunity, and both as accepted.",
    )
    compare_with_live: bool = Field(
        default=True, description="Measure the live version on the same leads, and the differences."
    )

    @field_validator("until")
    @classmethod
    def _spans_a_period(cls, until: Instant, info: ValidationInfo) -> Instant:
        since = info.data.get("since")
        if since is not None and not timedelta(0) < until - since <= LONGEST_PERIOD:
            message = f"an instant after since, by at most {LONGEST_PERIOD.days} days"
            raise ValueError(message)
        return until

    @property
    def horizon(self) -> timedelta:
        """How long after its decision a lead may take."""
        return timedelta(days=self.horizon_days)
