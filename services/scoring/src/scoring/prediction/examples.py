"""Leads to learn from, as columns of numbers. Only a job's own process imports this: it needs numpy and scipy."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.prediction.features import BEHAVIOURS, LEVEL_INPUTS, OTHER, amounts_of, levels_of
from scoring.prediction.report import DroppedInput
from shared.contracts import ActivityKind

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Matrix = Any
"""A `csr_matrix` of scipy, which is published without type information."""

FEWEST_OF_A_LEVEL: Final = 20  # below, a coefficient is the accident of a few leads (and might point at one)
MOST_LEVELS: Final = 40  # per input; industries and countries have a long tail that says nothing


@dataclass(frozen=True, slots=True)
class Examples:
    """One row per lead. ``at``: seconds since 1970; ``level_ids``: per input an index into its ``vocabulary``."""

    at: Floats
    is_good: Booleans
    points: Floats
    level_ids: npt.NDArray[np.int32]
    vocabulary: tuple[tuple[str, ...], ...]
    amounts: Floats

    def __len__(self) -> int:
        return len(self.at)

    @property
    def good(self) -> int:
        """How many had a good outcome."""
        return int(self.is_good.sum())

    def take(self, rows: Indices | slice) -> "Examples":
        """Return only *rows*."""
        return Examples(
            self.at[rows],
            self.is_good[rows],
            self.points[rows],
            self.level_ids[rows],
            self.vocabulary,
            self.amounts[rows],
        )


class ExampleCollector:
    """Takes leads one by one, in any order, and keeps about 200 bytes of each."""

    def __init__(self, half_life_days: float) -> None:
        self._half_life_days = half_life_days
        self._at, self._points, self._amounts = array("d"), array("d"), array("d")
        self._is_good, self._level_ids = array("b"), array("i")
        self._known: tuple[dict[str, int], ...] = tuple({} for _ in LEVEL_INPUTS)

    def add(
        self, profile: Profile, activities: Iterable[Activity], at: datetime, *, is_good: bool, points: float
    ) -> None:
        """Take a lead as it was known at *at*; ``points``: its rule score then."""
        self._at.append(at.timestamp())
        self._is_good.append(is_good)
        self._points.append(points)
        for known, level in zip(self._known, levels_of(profile), strict=True):
            self._level_ids.append(known.setdefault(level, len(known)))
        amounts = amounts_of(activities, at, self._half_life_days)
        self._amounts.extend([amounts.get(kind, 0.0) for kind in BEHAVIOURS])

    def collect(self) -> Examples:
        """Return all leads in the order of time."""
        size = len(self._at)
        at = np.array(self._at)
        examples = Examples(
            at,
            np.array(self._is_good, dtype=np.bool_),
            np.array(self._points),
            np.array(self._level_ids, dtype=np.int32).reshape(size, len(LEVEL_INPUTS)),
            tuple(tuple(known) for known in self._known),
            np.array(self._amounts).reshape(size, len(BEHAVIOURS)),
        )
        return examples.take(np.argsort(at, kind="stable"))


@dataclass(frozen=True, slots=True)
class Columns:
    """What is learned: a column per level of an input (`OTHER` among them where leads have it), one per activity."""

    levels: dict[str, tuple[str, ...]]
    amounts: tuple[ActivityKind, ...]

    def __len__(self) -> int:
        return sum(len(levels) for levels in self.levels.values()) + len(self.amounts)


def learn_columns(examples: Examples) -> tuple[Columns, list[DroppedInput]]:
    """Return the columns worth a coefficient in these examples, and the inputs that have none."""
    levels: dict[str, tuple[str, ...]] = {}
    dropped: list[DroppedInput] = []
    for index, name in enumerate(LEVEL_INPUTS):
        vocabulary = examples.vocabulary[index]
        counts = np.bincount(examples.level_ids[:, index], minlength=len(vocabulary))
        often = [number for number in np.argsort(-counts, kind="stable") if counts[number] >= FEWEST_OF_A_LEVEL]
        kept = often[:MOST_LEVELS]
        rest = len(examples) - int(counts[kept].sum())
        columns = (*(vocabulary[number] for number in kept), *((OTHER,) if rest else ()))
        if len(columns) > 1:
            levels[name] = columns
        else:
            is_constant = int((counts > 0).sum()) <= 1
            dropped.append(DroppedInput(input=name, reason="constant" if is_constant else "too_rare"))
    amounts = []
    for index, kind in enumerate(BEHAVIOURS):
        happened = int((examples.amounts[:, index] > 0).sum())
        if happened >= FEWEST_OF_A_LEVEL:
            amounts.append(kind)
        else:
            dropped.append(DroppedInput(input=f"activity.{kind}", reason="too_rare" if happened else "constant"))
    return Columns(levels, tuple(amounts)), dropped


def design(examples: Examples, columns: Columns) -> Matrix:
    """Return one row per lead, one column per coefficient, in the order of *columns*.

    A level without a column is `OTHER`; where that has none either, nothing is known of it and nothing is added.
    """
    size = len(examples)
    everyone = np.arange(size)
    rows, places, values = [], [], []
    start = 0
    for name, levels in columns.levels.items():
        index = LEVEL_INPUTS.index(name)
        place_of = {level: start + offset for offset, level in enumerate(levels)}
        rest = place_of.get(OTHER, -1)
        table = np.array([place_of.get(level, rest) for level in examples.vocabulary[index]] or [rest])
        places_here = table[examples.level_ids[:, index]]
        known = places_here >= 0
        rows.append(everyone[known])
        places.append(places_here[known])
        values.append(np.ones(int(known.sum())))
        start += len(levels)
    for kind in columns.amounts:
        amounts = examples.amounts[:, BEHAVIOURS.index(kind)]
        happened = np.flatnonzero(amounts)
        rows.append(happened)
        places.append(np.full(len(happened), start))
        values.append(amounts[happened])
        start += 1
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(places))) if rows else ([], ([], []))
    return csr_matrix(entries, shape=(size, len(columns)))
