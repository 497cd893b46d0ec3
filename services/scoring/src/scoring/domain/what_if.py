"""A lead as it would be: with more of an activity, or with other inputs.

`Case` scores it with `score_lead`. `Trial` gives the same sums without scoring everything again, for those who try
thousands of ways; what is told to anybody is scored in full.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from scoring.domain.activity import Activity
from scoring.domain.inputs import with_inputs
from scoring.domain.model import Example, Grade, ScoringModel, Signal
from scoring.domain.score import Line, ScoreResult, decayed, occurrences, score_lead
from shared.contracts import Facts, Lead


@dataclass(frozen=True, slots=True)
class Case:
    """A lead at an instant, and the model that scores it. ``activities``: its own, and its colleagues'."""

    model: ScoringModel
    lead: Lead
    facts: Facts
    activities: Sequence[Activity]
    at: datetime

    def score(self, more: Sequence[Activity] = ()) -> ScoreResult:
        """Score the lead, with *more* activities."""
        return score_lead(self.model, self.lead, self.facts, [*self.activities, *more], self.at)

    def score_with(self, changes: Mapping[str, Example]) -> ScoreResult:
        """Score the lead with other inputs."""
        lead, facts = with_inputs(self.lead, self.facts, changes)
        return score_lead(self.model, lead, facts, self.activities, self.at)


class Sums(NamedTuple):
    """What matters of a score, in hundredths; ``raw`` is not clamped."""

    raw: int
    fit: int
    grade: Grade


def occurrences_of(signal: Signal, count: int, at: datetime) -> list[Activity]:
    """Return *count* activities of *signal* that happen at *at*."""
    return [
        Activity(
            activity_id=f"what-if:{number}",
            kind=signal.kind,
            occurred_at=at,
            known_at=at,
            detail=detail_of(signal),
            is_colleagues=signal.of_account,
        )
        for number in range(count)
    ]


def detail_of(signal: Signal) -> dict[str, str]:
    """Return the details an activity needs to be an occurrence of *signal*."""
    return {key: min(values) for key, values in signal.where}


class _Group(NamedTuple):
    """A group, ``before``: what it adds up to now without its limit, and ``limited``: a sum within that limit."""

    signals: tuple[Signal, ...]
    before: int
    limited: Callable[[int], int]


class Trial:
    """A case and its score *now*, asked over and over what a change would make of it."""

    def __init__(self, case: Case, now: ScoreResult) -> None:
        self._case = case
        self._now = now
        self._moments = occurrences(case.model, case.activities)
        self._values: dict[tuple[Signal, int], int] = {}
        self._groups = list(self._group_all())
        # Other inputs leave the engagement alone.
        taking = [signal for group in case.model.negative for signal in group.signals]
        kept = [each for each in case.activities if any(signal.matches(each) for signal in taking)]
        self._still = replace(case, model=replace(case.model, engagement=()), activities=kept)

    def with_more(self, activity: Activity, count: int) -> Sums:
        """Return the sums if *activity* happens *count* times, at the instant of the case."""
        raw = self._now.raw
        for group in self._groups:
            counting = [signal for signal in group.signals if signal.matches(activity)]
            if counting:
                after = group.before + self._sum(counting, count) - self._sum(counting)
                raw += group.limited(after) - group.limited(group.before)
        return Sums(raw, self._now.fit, self._now.grade)

    def with_inputs(self, changes: Mapping[str, Example]) -> tuple[Sums, tuple[Line, ...]]:
        """Return the sums with other inputs, and the lines but for those of the engagement."""
        result = self._still.score_with(changes)
        return Sums(result.raw + self._now.engagement, result.fit, result.grade), result.lines

    def _group_all(self) -> Iterator[_Group]:
        case = self._case
        for group in case.model.engagement:
            yield _Group(group.signals, self._sum(group.signals), partial(_at_most, group.cap))
        for negative in case.model.negative:
            rules = sum(rule.points for rule in negative.rules if rule.condition(case.lead, case.facts))
            yield _Group(negative.signals, rules + self._sum(negative.signals), partial(_at_least, negative.floor))

    def _sum(self, signals: Iterable[Signal], more: int = 0) -> int:
        return sum(self._value(signal, more) for signal in signals)

    def _value(self, signal: Signal, more: int) -> int:
        """Return what *signal* is worth with *more* occurrences now. Kept: others that count the same activity ask."""
        value = self._values.get((signal, more))
        if value is None:
            at = self._case.at
            counted = signal.counted([*self._moments.get(signal, ()), *[at] * more], at)
            value = self._values[signal, more] = round(decayed(signal.points, signal.half_life, counted, at))
        return value


def _at_most(cap: int, value: int) -> int:
    return min(value, cap)


def _at_least(floor: int, value: int) -> int:
    return max(value, floor)
