"""What the points of a rule score say as a probability, learned on earlier leads and judged on later ones."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from sklearn.isotonic import IsotonicRegression

from scoring.backtest.measures import Band, expected_calibration_error, rank_bands, wilson_interval
from scoring.backtest.resampling import DIGITS, RESAMPLES, SEED, Cells, Floats, Ints, Statistic

BANDS: Final = 10
FEWEST_LEADS: Final = 100  # with fewer, a perfectly calibrated score shows an error of 0.1 by chance
FEWEST_OF_EACH: Final = 10

HOW_CALIBRATED: Final = (
    "Points are no probability: an isotonic mapping from points to one is fitted on the earlier leads whose horizon had"
    " passed when the first of the later leads was decided, and judged on those later leads only. The leads in between"
    " are used for neither."
)


def choose_boundary(decided_at: Sequence[datetime], horizon: timedelta) -> datetime:
    """Return the instant from which on leads are judged, so that about as many are decided a horizon before it as from
    it on. *decided_at*: sorted, not empty."""

    def surplus(boundary: datetime) -> int:
        return bisect_right(decided_at, boundary - horizon) - (len(decided_at) - bisect_left(decided_at, boundary))

    instants = sorted(set(decided_at))
    place = bisect_left(instants, 0, key=surplus)
    return min(instants[max(place - 1, 0) : place + 1], key=lambda instant: abs(surplus(instant)))


def find_refusal(fitting: Cells | None, judged: Cells | None, boundary: datetime) -> str | None:
    """Return why these leads cannot say anything about calibration, in a sentence; None if they can."""
    for cells, which in ((fitting, "had passed their horizon before"), (judged, "were decided from")):
        leads = 0 if cells is None else cells.leads
        positives = 0 if cells is None else cells.positives
        if leads < FEWEST_LEADS or min(positives, leads - positives) < FEWEST_OF_EACH:
            return (
                f"{leads} leads, {positives} of them with the outcome, {which} {boundary:%Y-%m-%d %H:%M} UTC; at least"
                f" {FEWEST_LEADS} are needed, {FEWEST_OF_EACH} with the outcome and {FEWEST_OF_EACH} without."
                " A longer period or a shorter horizon gives more."
            )
    return None


@dataclass(frozen=True, slots=True)
class Calibration:
    """``probability``: of each judged cell; ``band``: the tenth of the leads it belongs to; ``steps``: the mapping."""

    judged: Cells
    probability: Floats
    band: Ints
    steps: list[dict[str, float]]

    def statistics(self, prefix: str) -> dict[str, Statistic]:
        """Return the statistics to draw, named with *prefix*."""
        errors = (self.probability - self.judged.labels) ** 2

        def brier(weights: Floats) -> float:
            return float(weights @ errors / weights.sum())

        def ece(weights: Floats) -> float:
            return expected_calibration_error(self._bands(weights, weights * self.judged.labels))

        return {f"{prefix}brier": brier, f"{prefix}ece": ece}

    def reliability(self) -> list[dict[str, Any]]:
        """Return what was said and what came, band by band."""
        counts = self.judged.counts
        rows = []
        for number, band in enumerate(self._bands(counts, counts * self.judged.labels), start=1):
            if band.leads:
                low, high = wilson_interval(int(band.positives), int(band.leads))
                rows.append({
                    "band": number,
                    "leads": int(band.leads),
                    "predicted": round(band.predicted, DIGITS),
                    "positives": int(band.positives),
                    "rate": round(band.positives / band.leads, DIGITS),
                    "low": round(low, DIGITS),
                    "high": round(high, DIGITS),
                })  # fmt: skip
        return rows

    def error_by_chance(self) -> float:
        """Return the calibration error that leads of exactly these probabilities show in one of twenty samples."""
        chance = np.random.default_rng(SEED)
        groups, place = np.unique(self.probability, return_inverse=True)
        leads = np.bincount(place, self.judged.counts).astype(np.int64)
        band = np.zeros(len(groups), dtype=np.int64)
        band[place] = self.band
        came = chance.binomial(leads, groups, size=(RESAMPLES, len(groups)))
        said = np.bincount(band, leads * groups, BANDS)
        errors = [np.abs(np.bincount(band, row, BANDS) - said).sum() / leads.sum() for row in came]
        return float(np.quantile(errors, 0.95))

    def _bands(self, weights: Floats, positives: Floats) -> list[Band]:
        leads = np.bincount(self.band, weights, BANDS)
        said = np.bincount(self.band, weights * self.probability, BANDS)
        came = np.bincount(self.band, positives, BANDS)
        means = np.divide(said, leads, out=np.zeros_like(said), where=leads > 0)
        return [Band(n, y, p) for n, y, p in zip(leads.tolist(), came.tolist(), means.tolist(), strict=True)]


def calibrate(fitting: Cells, judged: Cells, model: int) -> Calibration:
    """Fit the mapping of one model's points on *fitting*, and say what it promises of *judged*."""
    mapping = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=True, out_of_bounds="clip")
    mapping.fit(fitting.points[model], fitting.labels.astype(np.float64), sample_weight=fitting.counts)
    probability: Floats = mapping.predict(judged.points[model])
    _, place = np.unique(probability, return_inverse=True)
    sizes = np.bincount(place, judged.counts).astype(np.int64).tolist()
    band = np.array(rank_bands(sizes, BANDS), dtype=np.int64)[place]
    steps = [
        {"points": round(float(points) / 100, 2), "probability": round(float(value), DIGITS)}
        for points, value in zip(mapping.X_thresholds_, mapping.y_thresholds_, strict=True)
    ]
    return Calibration(judged, probability, band, steps)
