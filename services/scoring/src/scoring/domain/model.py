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
Ranking = Literal["points", "probability"]
Example = str | int | bool | None
"""A value of an input; ``None`` = not known."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rule:
    """Points for who a lead is. ``inputs``: the fields its condition looks at, for the explanation."""

    rule_id: str
    points: int
    condition: Condition
    inputs: tuple[Field, ...]
    wording: str = ""
    """The condition in words, for people."""
    examples: tuple[tuple[Field, tuple[Example, ...]], ...] = ()
    """For each input, values that the condition's tests ask for or exclude: what a counterfactual tries."""


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
    """Points per occurrence of an activity. ``half_life`` in seconds; ``None`` = does not decay.

    ``look_back``: an occurrence counts while it is younger than this. ``of_account``: occurrences are what colleagues
    did, not what the lead did.
    """

    signal_id: str
    kind: ActivityKind
    points: int
    half_life: float | None
    frequency: FrequencyCap | None
    where: tuple[tuple[str, frozenset[str]], ...] = ()
    look_back: timedelta | None = None
    of_account: bool = False

    def matches(self, activity: Activity) -> bool:
        """Say if *activity* is an occurrence of this signal."""
        return (
            activity.kind == self.kind
            and activity.is_colleagues is self.of_account
            and all(activity.detail.get(key) in values for key, values in self.where)
        )

    def recent(self, moments: list[datetime], now: datetime) -> list[datetime]:
        """Return those of *moments* that the look-back window still reaches at *now*. One leaves it at the very
        instant at which it is as old as the window is long."""
        if self.look_back is None:
            return moments
        begins_after = now - self.look_back
        return [moment for moment in moments if moment > begins_after]

    def counted(self, moments: list[datetime], now: datetime | None = None) -> list[datetime]:
        """Return those of *moments* that the look-back window (as of *now*; ``None`` = not asked) and the frequency
        cap let count. The cap lets the latest count and the window the youngest, so time only takes from the result.
        """
        if now is not None:
            moments = self.recent(moments, now)
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
    ranking: Ranking = "points"
    """What lists of leads are ordered by: the score, or the predicted probability beside it."""
    signals_of: dict[ActivityKind, tuple[Signal, ...]] = field(init=False)
    account_signals_of: dict[ActivityKind, tuple[Signal, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Index the signals by the kind of activity they count, and by whose."""
        own: dict[ActivityKind, tuple[Signal, ...]] = {}
        colleagues: dict[ActivityKind, tuple[Signal, ...]] = {}
        for signal in self._signals():
            index = colleagues if signal.of_account else own
            index[signal.kind] = (*index.get(signal.kind, ()), signal)
        object.__setattr__(self, "signals_of", own)
        object.__setattr__(self, "account_signals_of", colleagues)

    @property
    def has_account(self) -> bool:
        """Say if what colleagues do counts for a lead."""
        return bool(self.account_signals_of)

    def counts(self, kind: ActivityKind) -> bool:
        """Say if an activity of this kind can change the score of the lead that did it."""
        return kind in self.signals_of

    def counts_for_colleagues(self, kind: ActivityKind) -> bool:
        """Say if an activity of this kind can change the scores of the lead's colleagues."""
        return kind in self.account_signals_of

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
