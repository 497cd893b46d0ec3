"""What a plan is asked about."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from shared.http import Instant, Strict

KIND: Final = "plan"

Version = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}$")]


class PlanRequest(Strict):
    """Which version, over which period."""

    version: Version = Field(description="A stored draft or version of the scoring model.")
    days: int = Field(default=30, ge=1, le=365, description="Length of the period, in days of 24 hours.")
    until: Instant | None = Field(default=None, description="End of the period (exclusive); default: now.")
    sample: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="At most so many leads, picked by a hash of their ids: the same ones each time. Default: all.",
    )
