"""Bootstrap intervals: what would have been measured on other samples of as many leads.

Leads with the same points and the same label are alike, so a resample is a draw of how often each cell comes. All
statistics are taken on the same resamples: their differences are paired.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Statistic = Callable[[Floats], float]
"""Takes how often each cell counts."""

RESAMPLES: Final = 400  # the ends of a 95 % interval then waver by a tenth of its width
SEED: Final = 1_927  # the same leads give the same interval
DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Cells:
    """Leads that are alike, counted. ``points``: one row per model, in hundredths; ``labels``: reached the goal."""

    points: Ints
    labels: Booleans
    counts: Floats

    @property
    def leads(self) -> int:
        """How many leads there are."""
        return int(self.counts.sum())

    @property
    def positives(self) -> int:
        """How many of them reached the goal."""
        return int(self.counts[self.labels].sum())


@dataclass(frozen=True, slots=True)
class Draws:
    """A statistic on all leads, and on each resample."""

    value: float
    samples: Floats

    def minus(self, other: "Draws") -> "Draws":
        """Return the difference, resample by resample."""
        return Draws(self.value - other.value, self.samples - other.samples)

    def summary(self, *, is_raised: bool = False, lowest: float = -inf) -> dict[str, float]:
        """Return the value and its 95 % interval: percentiles of the resamples.

        *is_raised*: resampling adds to the statistic, as to a mean of distances: it adds its own chance to that of the
        leads. Then the percentiles are mirrored at the value (the basic bootstrap, Davison and Hinkley 1997, 5.2), down
        to *lowest*; the value itself is never left out.
        """
        # A resample may hold leads of one label only, and says nothing about ranking then.
        low, high = (float(each) for each in np.nanpercentile(self.samples, [2.5, 97.5]))
        if is_raised:
            low, high = 2 * self.value - high, 2 * self.value - low
            low, high = min(max(low, lowest), self.value), max(high, self.value)
        return {"value": round(self.value, DIGITS), "low": round(low, DIGITS), "high": round(high, DIGITS)}


def count_cells(points: Sequence[Sequence[int]], labels: Sequence[bool]) -> Cells:
    """Return the cells of leads whose points are given model by model. Errors: `ValueError` without any lead."""
    table = np.array([*points, labels], dtype=np.int64)
    unique, counts = np.unique(table, axis=1, return_counts=True)
    return Cells(unique[:-1], unique[-1].astype(np.bool_), counts.astype(np.float64))


def draw(cells: Cells, statistics: Mapping[str, Statistic], *, resamples: int = RESAMPLES) -> dict[str, Draws]:
    """Return each statistic on all leads and on *resamples* samples of as many, drawn with replacement."""
    chance = np.random.default_rng(SEED)
    shares = cells.counts / cells.counts.sum()
    samples = {name: np.empty(resamples) for name in statistics}
    for number in range(resamples):
        weights = chance.multinomial(cells.leads, shares).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            for name, statistic in statistics.items():
                samples[name][number] = statistic(weights)
    return {name: Draws(statistic(cells.counts), samples[name]) for name, statistic in statistics.items()}
