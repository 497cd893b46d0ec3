"""What the API says of predictions and of the models that make them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from scoring.outcomes.outcome import Goal
from scoring.prediction.model import Prediction, PredictiveModel
from scoring.prediction.report import TrainingReport
from scoring.prediction.repository import decode_model
from shared.db import Record
from shared.http import Strict

Why = Annotated[str, Field(min_length=3, max_length=500, description="Kept in the audit.")]


class ContributionView(BaseModel):
    """What one input adds to the log-odds."""

    input: str
    value: str | float = Field(
        description="The lead's own; of an activity: log(1 + occurrences), each halved every half-life."
    )
    level: str | None = Field(
        description="What the model takes the value for: `other leads` = too rare to learn from. Null for an activity."
    )
    log_odds: float


class PredictionView(BaseModel):
    """How likely a good outcome is, beside the score by rules: intercept + all contributions = log_odds, exactly."""

    version: int = Field(description="The predictive model.")
    probability: float = Field(description="Of the outcome within the horizon: 1 / (1 + exp(-log_odds)).")
    horizon_days: int
    log_odds: float
    intercept: float = Field(description="The log-odds of an average lead that did nothing.")
    contributions: list[ContributionView]

    @classmethod
    def of(cls, version: int, model: PredictiveModel, prediction: Prediction) -> Self:
        """Return the view of what *model* predicts."""
        return cls(
            version=version,
            probability=prediction.probability,
            horizon_days=model.horizon_days,
            log_odds=prediction.log_odds,
            intercept=model.intercept,
            contributions=[
                ContributionView(input=each.input, value=each.value, level=each.level, log_odds=each.log_odds)
                for each in prediction.contributions
            ],
        )


class PredictionModelSummary(BaseModel):
    """A stored predictive model."""

    version: int
    is_live: bool
    job_id: str = Field(description="The training that stored it.")
    created_at: datetime
    created_by: str
    refreshed_from: int | None = Field(description="The model it went on from; null = learned anew.")
    outcome: Goal
    horizon_days: int
    half_life_days: float
    since: datetime = Field(description="Learned from leads decided from here on.")
    learned_until: datetime = Field(description="A refresh goes on with leads decided from here on.")
    until: datetime = Field(description="With outcomes known by then.")
    report: TrainingReport

    @staticmethod
    def fields_of(row: Record, model: PredictiveModel) -> dict[str, Any]:
        """Return the values that describe a stored row."""
        values = {name: value for name, value in row.items() if name != "model"}
        return {
            **values,
            "horizon_days": model.horizon_days,
            "half_life_days": model.half_life_days,
            "report": TrainingReport.model_validate_json(row["report"]),
        }

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the view of a stored row."""
        return cls(**cls.fields_of(row, decode_model(row)))


class PredictionModelView(PredictionModelSummary):
    """A stored predictive model with its coefficients in log-odds, calibration included."""

    intercept: float
    levels: dict[str, dict[str, float]] = Field(description="Input → level → what it adds, compared with the average.")
    amounts: dict[str, float] = Field(description="Activity → what one unit of log(1 + decayed occurrences) adds.")

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the view of a stored row."""
        model = decode_model(row)
        return cls(
            **cls.fields_of(row, model),
            intercept=model.intercept,
            levels=model.levels,
            amounts={str(kind): value for kind, value in model.amounts.items()},
        )


class ApplyRequest(Strict):
    """Put a predictive model in force."""

    why: Why
    force: bool = Field(default=False, description="Although it is measured to be worse than the limits; audited.")


class OffRequest(Strict):
    """Switch predictions off."""

    why: Why


class LiveChange(BaseModel):
    """Which predictive model is live now."""

    version: int | None = Field(description="Null: predictions are off.")
    version_before: int | None
    ranking_job_id: str | None = Field(
        description="The job that stores the new probabilities beside all scores; lists are ordered anew by and by."
    )
