"""A scoring model, ready to run: what a model document becomes when it is valid. All points are in hundredths."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from scoring.domain.activity import Activity
from scoring.domain.condition import Condition
from scoring.domain.fields import Field
from shared.contracts import ActivityKind

Grade = Literal["A", "B", "C", "D"]
Choice = Literal["best", "sum"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """Points for who a lead is. ``inputs``: the fields its condition looks at, for the explanation."""

    rule_id: str
    points: int
    condition: Condition
    inputs: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class FitGroup:
    """``best``: the highest matching rule counts (``rules`` are sorted so). ``sum``: all matching rules do."""

    name: str
    cap: int
    choice: Choice
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most ``times`` occurrences count in each ``window`` (windows are counted from 1970-01-01 UTC, so that the
    order in which activities become known does not matter). The latest in a window are the ones that count."""

    times: int
    window: timedelta


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Points per occurrence of an activity. ``half_life`` in seconds; ``None`` = does not decay."""

    signal_id: str
    kind: ActivityKind
    points: int
    half_life: float | None
    frequency: FrequencyCap | None
    where: tuple[tuple[str, frozenset[str]], ...] = ()

    def matches(self, activity: Activity) -> bool:
        """Say if *activity* is an occurrence of this signal."""
        return activity.kind == self.kind and all(activity.detail.get(key) in values for key, values in self.where)

    def counted(self, moments: list[datetime]) -> list[datetime]:
        """Return those of *moments* that the frequency cap lets count."""
        if self.frequency is None or len(moments) <= self.frequency.times:
            return moments
        taken: dict[int, int] = {}
        kept: list[datetime] = []
        for moment in sorted(moments, reverse=True):
            window = (moment - _EPOCH) // self.frequency.window
            seen = taken.get(window, 0)
            if seen < self.frequency.times:
                taken[window] = seen + 1
                kept.append(moment)
        return kept


@dataclass(frozen=True, slots=True)
class EngagementGroup:
    """Signals that share a cap."""

    name: str
    cap: int
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class NegativeGroup:
    """Rules and signals that take points away, down to ``floor`` (negative). They do not decay."""

    name: str
    floor: int
    rules: tuple[Rule, ...]
    signals: tuple[Signal, ...]


@dataclass(frozen=True, slots=True)
class Qualification:
    """When a lead is marketing-qualified: from ``enter_at`` points up, until below ``leave_below``."""

    enter_at: int
    leave_below: int
    grades: frozenset[Grade]


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """One version of the rules, compiled."""

    name: str
    fit: tuple[FitGroup, ...]
    engagement: tuple[EngagementGroup, ...]
    negative: tuple[NegativeGroup, ...]
    grades: tuple[tuple[Grade, int], ...]
    """Letter and the fit it starts at, best first."""
    qualification: Qualification
    signals_of: dict[ActivityKind, tuple[Signal, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the signals by the kind of activity they count."""
        index: dict[ActivityKind, tuple[Signal, ...]] = {}
        for signal in self._signals():
            index[signal.kind] = (*index.get(signal.kind, ()), signal)
        object.__setattr__(self, "signals_of", index)

    def counts(self, kind: ActivityKind) -> bool:
        """Say if an activity of this kind can change a score."""
        return kind in self.signals_of

    def grade_of(self, fit: int) -> Grade:
        """Return the letter for *fit* hundredths."""
        for grade, starts_at in self.grades:
            if fit >= starts_at:
                return grade
        return "D"

    def is_qualified(self, points: int, grade: Grade, *, was_qualified: bool) -> bool:
        """Say if a lead is an MQL now. Between the two limits it stays what it was, so a score that wavers around
        the threshold does not flap."""
        limit = self.qualification.leave_below if was_qualified else self.qualification.enter_at
        return points >= limit and grade in self.qualification.grades

    def _signals(self) -> Iterator[Signal]:
        for group in self.engagement:
            yield from group.signals
        for negative in self.negative:
            yield from negative.signals
