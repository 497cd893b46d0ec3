"""How good predictions were on leads that had no part in making them, with bootstrap intervals."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from scoring.prediction.examples import Booleans, Floats
from scoring.prediction.report import Bin, Measure, Measures

Places = npt.NDArray[np.intp]
"""The bin of each lead."""

BINS: Final = 10
REPEATS: Final = 200  # the ends of a 95 % interval move by less than a tenth of its width from one seed to another
SEED: Final = 8  # the same leads and predictions give the same interval


def measure(probability: Floats, is_good: Booleans, points: Floats) -> Measures:
    """Measure predictions against what came. Both outcomes must be among *is_good*."""
    ranking, rule = Ranking(probability, is_good), Ranking(points, is_good)
    p, y = np.clip(probability, 1e-12, 1 - 1e-12), is_good.astype(np.float64)
    squares, logs = (p - y) ** 2, -(y * np.log(p) + (1 - y) * np.log(1 - p))
    places = places_of(p)

    def values(weight: Floats) -> list[float]:
        return [
            ranking.auc(weight),
            ranking.pr_auc(weight),
            float(np.average(squares, weights=weight)),
            float(np.average(logs, weights=weight)),
            calibration_error(p, y, places, weight),
            rule.auc(weight),
        ]

    auc, pr_auc, brier, log_loss, ece, rule_auc = _intervals(values, len(y))
    return Measures(
        leads=len(y),
        good=int(y.sum()),
        auc=auc,
        pr_auc=pr_auc,
        brier=brier,
        log_loss=log_loss,
        ece=ece,
        rule_auc=rule_auc,
        reliability=[
            Bin(leads=int(each.sum()), predicted=float(p[each].mean()), observed=float(y[each].mean()))
            for number in range(BINS)
            if (each := places == number).any()
        ],
    )


def calibration_error(p: Floats, y: Floats, places: Places, weight: Floats) -> float:
    """Return the mean distance of what was said and what came, over the bins that *places* puts the leads in."""
    said = np.bincount(places, weight * p, BINS)
    came = np.bincount(places, weight * y, BINS)
    return float(np.abs(said - came).sum() / weight.sum())


class Ranking:
    """Leads by what was said of them, highest first; leads of which the same was said are one step."""

    def __init__(self, score: Floats, is_good: Booleans) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        self._is_good = is_good[self._order]

    def auc(self, weight: Floats) -> float:
        """Return the share of (good, other) pairs in the right order; a tie counts half."""
        good, other = self._steps(weight)
        worse = other.sum() - np.cumsum(other) + other / 2
        return float(good @ worse / (good.sum() * other.sum()))

    def pr_auc(self, weight: Floats) -> float:
        """Return the average precision: precision at each step, weighted with the good leads found by it."""
        good, other = self._steps(weight)
        found = np.cumsum(good)
        seen = found + np.cumsum(other)
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return float(good @ precision / good.sum())

    def _steps(self, weight: Floats) -> tuple[Floats, Floats]:
        ordered = weight[self._order]
        good = np.add.reduceat(ordered * self._is_good, self._starts)
        return good, np.add.reduceat(ordered, self._starts) - good


def places_of(p: Floats) -> Places:
    """Return each lead's bin. Bins hold the same number of leads: of equal width, most would be empty."""
    rank = np.empty(len(p), dtype=np.intp)
    rank[np.argsort(p, kind="stable")] = np.arange(len(p))
    return rank * BINS // len(p)


def _intervals(values_of: Callable[[Floats], list[float]], size: int) -> list[Measure]:
    """Return each value, and the interval in which it lies for 95 of 100 samples of as many leads."""
    draw = np.random.default_rng(SEED)
    with np.errstate(invalid="ignore", divide="ignore"):  # a sample may hold one outcome only: it says nothing
        samples = [
            values_of(np.bincount(draw.integers(0, size, size), minlength=size).astype(np.float64))
            for _ in range(REPEATS)
        ]
    low, high = np.nanpercentile(samples, [2.5, 97.5], axis=0)
    return [
        Measure(value=value, low=float(low[number]), high=float(high[number]))
        for number, value in enumerate(values_of(np.ones(size)))
    ]
