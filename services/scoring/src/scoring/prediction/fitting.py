"""Logistic regression: from leads to coefficients, from old coefficients and new leads to newer ones."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from scoring.prediction.examples import Booleans, Columns, Examples, Floats, Matrix, design
from scoring.prediction.features import OTHER
from scoring.prediction.model import PredictiveModel

STRENGTHS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Inverse strengths of the L2 penalty that are tried. Beyond 10 the validation loss of 20,000 leads is flat."""
VALIDATED: Final = 0.25  # the newest part of the training leads, on which a strength is chosen
MOST_STEPS: Final = 50
CLOSE_ENOUGH: Final = 1e-8
UNSURE: Final = 1e-6  # precision of the intercept before anything is seen


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What was learned, as a normal distribution: ``mean`` (the intercept first) and ``precision`` (inverse
    covariance) are all that a refresh needs to know of the leads that it does not read again."""

    columns: Columns
    mean: Floats
    precision: Floats

    def log_odds(self, x: Matrix) -> Floats:
        """Return the uncalibrated log-odds for each row of `design`."""
        result: Floats = x @ self.mean[1:] + self.mean[0]
        return result


def fit(examples: Examples, columns: Columns) -> tuple[Coefficients, float]:
    """Fit anew; return the coefficients and the inverse penalty strength that predicted the newest leads best."""
    x, y = design(examples, columns), examples.is_good
    strength = choose_strength(x, y)
    learned = _regression(strength).fit(x, y)
    mean = np.concatenate([learned.intercept_, learned.coef_[0]])
    penalty = np.diag(np.concatenate([[UNSURE], np.full(len(columns), 1 / strength)]))
    return Coefficients(columns, mean, penalty + _information(x, mean)), strength


def choose_strength(x: Matrix, y: Booleans) -> float:
    """Return the strength with which the older rows predict the newer ones best (rows are in the order of time)."""
    cut = round(len(y) * (1 - VALIDATED))
    if len(np.unique(y[:cut])) < 2:
        return 1.0
    losses = {}
    for strength in STRENGTHS:
        learned = _regression(strength).fit(x[:cut], y[:cut])
        losses[strength] = log_loss(y[cut:], learned.predict_proba(x[cut:])[:, 1], labels=[False, True])
    return min(losses, key=lambda strength: losses[strength])


def refresh(before: Coefficients, examples: Examples) -> Coefficients:
    """Learn from *examples* on top of what was known before, without the leads it came from.

    What was learned is the prior: to move a coefficient costs as much as the earlier leads were sure of it, with all
    the dependencies between coefficients. Newton's method; the loss is convex, and halved steps never raise it.
    """
    x, y = design(examples, before.columns), examples.is_good.astype(np.float64)
    mean = before.mean.copy()
    loss = _loss(x, y, mean, before)
    for _ in range(MOST_STEPS):
        residual = _probabilities(x, mean) - y
        gradient = np.concatenate([[residual.sum()], x.T @ residual]) + before.precision @ (mean - before.mean)
        step = np.linalg.solve(before.precision + _information(x, mean), gradient)
        share = 1.0
        while (tried := _loss(x, y, mean - share * step, before)) > loss and share > CLOSE_ENOUGH:
            share /= 2
        mean, gained, loss = mean - share * step, loss - tried, tried
        if gained < CLOSE_ENOUGH:
            break
    return Coefficients(before.columns, mean, before.precision + _information(x, mean))


def calibrate(log_odds: Floats, y: Booleans) -> tuple[float, float]:
    """Return (slope, shift) so that slope * log-odds + shift are right on these leads (Platt). A slope that is not
    above 0 says that the order was not right at all."""
    learned = LogisticRegression(C=1e6, max_iter=1000).fit(log_odds.reshape(-1, 1), y)
    return float(learned.coef_[0][0]), float(learned.intercept_[0])


def compile_predictive_model(
    coefficients: Coefficients,
    calibration: tuple[float, float],
    examples: Examples,
    *,
    horizon_days: int,
    half_life_days: float,
) -> PredictiveModel:
    """Return the model that runs. Per input, 0 is made the average of *examples*: a contribution then says how much
    better or worse than the average lead this one is. That moves parts of the intercept and changes no prediction."""
    slope, shift = calibration
    intercept = slope * float(coefficients.mean[0]) + shift
    weights = slope * coefficients.mean[1:]
    shares = np.asarray(design(examples, coefficients.columns).mean(axis=0)).ravel()
    levels: dict[str, dict[str, float]] = {}
    start = 0
    for name, known in coefficients.columns.levels.items():
        here = slice(start, start + len(known))
        average = float(weights[here] @ shares[here])
        table = dict(zip(known, (weights[here] - average).tolist(), strict=True))
        table.setdefault(OTHER, -average)
        levels[name] = table
        intercept += average
        start += len(known)
    return PredictiveModel(
        horizon_days=horizon_days,
        half_life_days=half_life_days,
        intercept=intercept,
        levels=levels,
        amounts=dict(zip(coefficients.columns.amounts, weights[start:].tolist(), strict=True)),
    )


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, solver="newton-cholesky")  # exact, and a tenth of lbfgs’ time


def _probabilities(x: Matrix, mean: Floats) -> Floats:
    log_odds = np.clip(x @ mean[1:] + mean[0], -30, 30)
    result: Floats = 1 / (1 + np.exp(-log_odds))
    return result


def _information(x: Matrix, mean: Floats) -> Floats:
    """Return how sure the rows of *x* make each coefficient, and each pair of them (the Hessian of the loss)."""
    p = _probabilities(x, mean)
    weight = p * (1 - p)
    weighted = x.multiply(weight[:, None]).tocsr()
    size = x.shape[1] + 1
    result = np.empty((size, size))
    result[0, 0] = weight.sum()
    result[0, 1:] = result[1:, 0] = np.asarray(weighted.sum(axis=0)).ravel()
    result[1:, 1:] = (x.T @ weighted).toarray()
    return result


def _loss(x: Matrix, y: Floats, mean: Floats, prior: Coefficients) -> float:
    log_odds = x @ mean[1:] + mean[0]
    moved = mean - prior.mean
    return float(np.sum(np.logaddexp(0, log_odds) - y * log_odds) + moved @ prior.precision @ moved / 2)
