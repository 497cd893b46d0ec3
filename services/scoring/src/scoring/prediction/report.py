"""What a training reports: from how many leads it learned, what it left out, and how good the result is."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class Measure(BaseModel):
    """A value with its 95 % interval (percentiles of bootstrap samples of the leads)."""

    value: float
    low: float
    high: float


class Bin(BaseModel):
    """A tenth of the leads, by predicted probability."""

    leads: int
    predicted: float = Field(description="Mean of the predicted probabilities.")
    observed: float = Field(description="Share that had the outcome.")


class Measures(BaseModel):
    """How good predictions were on leads that had no part in making them.

    They follow on the calibration's leads at once, without a gap of a horizon: what became of the last of those was
    known only while these were being decided. So `brier`, `log_loss` and `ece` are those of a calibration a little
    newer than any that could have been in force; `auc` and `pr_auc` do not depend on the calibration.
    """

    leads: int
    good: int = Field(description="Leads that had the outcome.")
    auc: Measure = Field(description="Share of pairs (one with the outcome, one without) in the right order.")
    pr_auc: Measure = Field(description="Average precision; a model that knows nothing gets good / leads.")
    brier: Measure = Field(description="Mean squared distance of probability and outcome.")
    log_loss: Measure
    ece: Measure = Field(description="Mean distance of predicted and observed share over ten bins of equal size.")
    rule_auc: Measure = Field(description="AUC of the rule score that was decided for the same leads.")
    reliability: list[Bin]


class Part(BaseModel):
    """Leads of one stretch of time."""

    leads: int
    good: int = Field(description="Leads that had the outcome.")
    since: datetime | None = Field(description="When the first was decided; null without any.")
    until: datetime | None = Field(description="When the last was decided.")


class DroppedInput(BaseModel):
    """An input that taught nothing."""

    input: str
    reason: Literal["constant", "too_rare"] = Field(
        description="constant: the same for every lead. too_rare: different for fewer than 20."
    )


class TrainingReport(BaseModel):
    """How a predictive model came about, and how good it is."""

    training: Part = Field(description="The coefficients were learned from these.")
    calibration: Part = Field(description="On these, newer ones, log-odds were made right on average.")
    evaluation: Part = Field(description="On these, the newest, it was measured.")
    still_open: int = Field(
        description="Leads between training and calibration: their outcome was not known when calibration begins."
    )
    had_outcome: int = Field(description="Leads left out because they had the outcome when they were decided.")
    dropped: list[DroppedInput]
    strength: float | None = Field(description="Inverse strength of the penalty; null for a refresh.")
    slope: float = Field(description="Calibration: calibrated log-odds = slope × learned log-odds + shift.")
    shift: float
    measures: Measures
