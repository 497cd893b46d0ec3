"""What the API says of backtests."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from scoring.backtest.repository import FinishedBacktest
from scoring.outcomes.outcome import Goal


class BacktestSummary(BaseModel):
    """A finished backtest with its headline numbers. `GET /v1/jobs/{job_id}` has intervals, tables and drift."""

    job_id: str
    version: str
    since: datetime
    until: datetime
    horizon_days: int
    outcome: Goal
    asked_by: str
    asked_at: datetime
    ended_at: datetime
    leads: int = Field(description="Leads that could be judged.")
    positives: int = Field(description="Those of them that reached the outcome within the horizon.")
    base_rate: float
    auc: float = Field(description="Chance that a lead with the outcome has more points than one without: 0.5 = none.")
    pr_auc: float = Field(description="Average precision; a score that knows nothing reaches the base rate.")
    brier: float | None = Field(description="Mean squared error of the probability; null: too few leads to fit one.")
    ece: float | None = Field(description="Mean distance of probability and rate; null: too few leads to fit one.")
    live_version: str | None = Field(description="What it was compared with.")
    auc_difference: float | None = Field(description="AUC of the version minus that of the live one.")
    ranks: Literal["better", "worse", "no_clear_difference"] | None = Field(
        description="Than the live version: whether the 95 % interval of the difference excludes 0."
    )

    @classmethod
    def of(cls, backtest: FinishedBacktest) -> Self:
        """Return the view of *backtest*."""
        asked = {name: backtest.request[name] for name in ("version", "since", "until", "horizon_days", "outcome")}
        numbers = {name: value for name, value in backtest.headline.items() if name in cls.model_fields}
        return cls(
            job_id=backtest.job_id,
            asked_by=backtest.asked_by,
            asked_at=backtest.asked_at,
            ended_at=backtest.ended_at,
            **asked,
            **numbers,
        )
