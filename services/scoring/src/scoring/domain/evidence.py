"""Where the inputs of a score came from: the record that brought each value, and the activities that count."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.domain.fields import Field
from scoring.domain.inputs import DERIVED_FROM, note_on
from scoring.domain.model import Rule, ScoringModel, Signal
from scoring.domain.score import Half, ScoreResult, decayed
from shared.contracts import Origin

MOST_SHOWN: Final = 20  # activities of one signal; the others are counted


@dataclass(frozen=True, slots=True)
class KnownProfile:
    """Who the lead was said to be, since ``known_at``."""

    known_at: datetime
    profile: Profile


@dataclass(frozen=True, slots=True)
class InputEvidence:
    """A value that a rule looked at. ``origin``: the record with which it became what it is, at ``known_at``.

    ``derived_from``: what enrichment concluded it from; ``note``: its code for why it stayed unset. ``is_since``:
    False if it was so in the oldest profile that was looked at, and maybe before.
    """

    name: str
    value: str | None
    derived_from: tuple[str, ...]
    note: str | None
    origin: Origin
    known_at: datetime
    is_since: bool


@dataclass(frozen=True, slots=True)
class RuleEvidence:
    """A rule that applied, its condition in words, and the inputs that it looked at."""

    half: Half
    group: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class ActivityEvidence:
    """An activity that counts. ``worth``: hundredths left of it after decay, before the signal's sum is rounded."""

    activity: Activity
    worth: float


@dataclass(frozen=True, slots=True)
class SignalEvidence:
    """The activities behind a signal: ``newest`` of those that count, ``more`` that count beside them, and
    ``left_out`` that its look-back window or frequency cap does not let count."""

    half: Half
    group: str
    signal: Signal
    newest: tuple[ActivityEvidence, ...]
    more: int
    left_out: int


def trace_inputs(fields: Iterable[Field], profiles: Sequence[KnownProfile], *, is_all: bool) -> list[InputEvidence]:
    """Return where each of *fields* got its present value. *profiles*: of one lead, newest first, not empty;
    *is_all*: there are no older ones."""
    newest = profiles[0].profile
    traced = []
    for field in fields:
        value = field.read(newest.lead, newest.facts)
        first = 0
        while first + 1 < len(profiles):
            older = profiles[first + 1].profile
            if field.read(older.lead, older.facts) != value:
                break
            first += 1
        traced.append(
            InputEvidence(
                name=field.name,
                value=None if value is None else str(value),
                derived_from=DERIVED_FROM.get(field.name, ()),
                note=note_on(field.name, newest.facts),
                origin=profiles[first].profile.origin,
                known_at=profiles[first].known_at,
                is_since=is_all or first + 1 < len(profiles),
            )
        )
    return traced


def rules_behind(model: ScoringModel, result: ScoreResult) -> list[RuleEvidence]:
    """Return the rules that *result* has lines of, in that order."""
    rules = {(group.name, rule.rule_id): rule for group in model.fit for rule in group.rules}
    rules |= {(group.name, rule.rule_id): rule for group in model.negative for rule in group.rules}
    return [
        RuleEvidence(line.half, line.group or "", rules[line.group or "", line.source or ""])
        for line in result.lines
        if line.kind == "rule"
    ]


def signals_behind(
    model: ScoringModel, result: ScoreResult, activities: Iterable[Activity], at: datetime
) -> list[SignalEvidence]:
    """Return the activities behind each signal that *result* has a line of, in that order."""
    signals = {(group.name, each.signal_id): each for group in model.engagement for each in group.signals}
    signals |= {(group.name, each.signal_id): each for group in model.negative for each in group.signals}
    known = list(activities)
    evidence = []
    for line in result.lines:
        if line.kind == "signal":
            signal = signals[line.group or "", line.source or ""]
            matching = [each for each in known if signal.matches(each)]
            counted = _counted(signal, matching, at)
            newest = [
                ActivityEvidence(each, decayed(signal.points, signal.half_life, [each.counts_from], at))
                for each in counted[:MOST_SHOWN]
            ]
            evidence.append(
                SignalEvidence(
                    half=line.half,
                    group=line.group or "",
                    signal=signal,
                    newest=tuple(newest),
                    more=len(counted) - len(newest),
                    left_out=len(matching) - len(counted),
                )
            )
    return evidence


def _counted(signal: Signal, activities: Sequence[Activity], at: datetime) -> list[Activity]:
    """Return those of *activities* that *signal* lets count at *at*, newest first. Of several of one instant any may
    count: they are worth the same, and the id decides."""
    left = Counter(signal.counted([each.counts_from for each in activities], at))
    counted = []
    for each in sorted(activities, key=lambda each: (each.counts_from, each.activity_id), reverse=True):
        if left[each.counts_from] > 0:
            left[each.counts_from] -= 1
            counted.append(each)
    return counted
