"""What a training and a ranking are asked."""

from datetime import timedelta
from typing import Final

from pydantic import Field, ValidationInfo, field_validator

from scoring.outcomes.outcome import Goal
from shared.http import Instant, Strict

TRAINING: Final = "training"
RANKING: Final = "ranking"

DEFAULT_PERIOD: Final = timedelta(days=365)
DEFAULT_OUTCOME: Final = "opportunity"
DEFAULT_HORIZON_DAYS: Final = 90
DEFAULT_HALF_LIFE_DAYS: Final = 14.0  # as in the shipped scoring model


class TrainingRequest(Strict):
    """From which leads to learn, and what."""

    outcome: Goal | None = Field(
        default=None,
        description="What is foreseen; null: opportunity. A deal won counts as an opportunity, and both as accepted.",
    )
    horizon_days: int | None = Field(
        default=None,
        ge=1,
        le=730,
        description="Within how many days after it was decided a lead has to get there; null: 90. Leads younger than"
        " that at `until` are left out: nobody knows yet what becomes of them.",
    )
    until: Instant | None = Field(default=None, description="Take outcomes known by this instant; null: now.")
    since: Instant | None = Field(
        default=None, description="Learn from leads decided from this instant on; null: 365 days before the last."
    )
    half_life_days: float | None = Field(
        default=None, gt=0, le=365, description="After how many days an activity counts half; null: 14."
    )
    refresh: bool = Field(
        default=False,
        description="Learn from the leads since the live model's only, on top of what it knows. What is foreseen stays"
        " what it was: give no other field but `until`.",
    )

    @field_validator("since")
    @classmethod
    def _leaves_time(cls, since: Instant | None, info: ValidationInfo) -> Instant | None:
        until = info.data.get("until")
        horizon = timedelta(days=info.data.get("horizon_days") or DEFAULT_HORIZON_DAYS)
        if since is not None and until is not None and until - since <= horizon:
            message = f"more than the horizon ({horizon.days} days) before until: else no lead is old enough"
            raise ValueError(message)
        return since

    @field_validator("refresh")
    @classmethod
    def _stands_alone(cls, refresh: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic calls it so
        others = ("outcome", "horizon_days", "since", "half_life_days")
        if refresh and (given := [name for name in others if info.data.get(name) is not None]):
            message = f"goes on from the live model, with what that foresees: give no {', '.join(given)}"
            raise ValueError(message)
        return refresh


class RankingRequest(Strict):
    """Of which model the probabilities shall be stored with every lead."""

    version: int = Field(ge=1, description="The live predictive model.")
