"""The predictive model as it runs: a sum in log-odds, so that every prediction explains itself exactly."""

from collections.abc import Iterable
from datetime import datetime
from math import exp, fsum

import msgspec

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.prediction.features import LEVEL_INPUTS, OTHER, amounts_of, levels_of
from shared.contracts import ActivityKind

MOST_LOG_ODDS = 30.0  # beyond, a double's probability is 0 or 1 to 13 digits, and exp() may overflow


class PredictiveModel(msgspec.Struct, frozen=True, kw_only=True):
    """Coefficients in log-odds, calibration included.

    ``levels``: input → level → what it adds, compared with the average lead of the training (a level that is not
    there counts as `OTHER`). ``amounts``: kind of activity → what one unit of `amounts_of` adds. An input that is in
    neither told nothing. ``horizon_days``: a probability is that of a good outcome within so many days.
    """

    horizon_days: int
    half_life_days: float
    intercept: float
    levels: dict[str, dict[str, float]]
    amounts: dict[ActivityKind, float]


class Contribution(msgspec.Struct, frozen=True):
    """What one input adds to the log-odds. ``value``: the lead's own; ``level``: what the model takes it for, None
    for an amount."""

    input: str
    value: str | float
    level: str | None
    log_odds: float


class Prediction(msgspec.Struct, frozen=True):
    """Probability of a good outcome. ``log_odds`` = the model's intercept + the log-odds of all contributions."""

    probability: float
    log_odds: float
    contributions: tuple[Contribution, ...]


def predict(model: PredictiveModel, profile: Profile, activities: Iterable[Activity], at: datetime) -> Prediction:
    """Return the prediction for a lead with what was known of it at *at*. The order of *activities* does not matter."""
    contributions = []
    tables = model.levels
    for name, value in zip(LEVEL_INPUTS, levels_of(profile), strict=True):
        table = tables.get(name)
        if table is None:
            continue
        level = value if value in table else OTHER
        contributions.append(Contribution(name, value, level, table[level]))
    amounts = amounts_of(activities, at, model.half_life_days)
    if amounts:
        for kind, coefficient in model.amounts.items():
            amount = amounts.get(kind)
            if amount is not None:
                contributions.append(Contribution(f"activity.{kind}", amount, None, coefficient * amount))
    log_odds = fsum([model.intercept, *[each.log_odds for each in contributions]])
    return Prediction(probability_of(log_odds), log_odds, tuple(contributions))


def probability_of(log_odds: float) -> float:
    """Return the probability that *log_odds* stand for."""
    bounded = min(max(log_odds, -MOST_LOG_ODDS), MOST_LOG_ODDS)
    return 1.0 / (1.0 + exp(-bounded))
