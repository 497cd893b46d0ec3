"""What would change a verdict: the cheapest single signals and rules that make a lead an MQL or raise its grade.

Nothing here is estimated: what is told was scored by `score_lead`, on the lead as it would be then.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, product
from math import ceil
from typing import Final, Literal

from scoring.domain.activity import Activity
from scoring.domain.inputs import may_change, with_inputs
from scoring.domain.model import Example, Grade, Rule, ScoringModel, Signal
from scoring.domain.points import to_points
from scoring.domain.score import ScoreResult
from scoring.domain.what_if import Case, Sums, Trial, detail_of, occurrences_of
from shared.contracts import ActivityKind

MOST_OPTIONS: Final = 5
MOST_OCCURRENCES: Final = 50  # "download 51 whitepapers" is no advice
MOST_TRIED: Final = 256  # ways to give a rule's inputs other values; conditions of up to three inputs are all tried
MOST_SCORED: Final = 8  # of the ways in which a rule applies, so many are scored

Goal = Literal["mql", "A", "B", "C", "D"]


@dataclass(frozen=True, slots=True)
class Change:
    """An input that would have to be something else. ``None`` = not known."""

    name: str
    before: Example
    after: Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One signal that would happen ``steps`` times now, or one rule that would apply after ``steps`` inputs changed.

    ``result``: the score then. ``excess``: hundredths above what the goal needs; below 0 = so many are still missing.
    ``kind`` and ``detail``: the activity of a signal, which a colleague does if ``is_colleagues``; ``changes`` and
    ``wording``: of a rule.
    """

    group: str
    source: str
    steps: int
    excess: int
    result: ScoreResult
    kind: ActivityKind | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    is_colleagues: bool = False
    wording: str = ""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Prospect:
    """How a goal can be reached. ``missing``: hundredths, 0 if only the grade stands in the way of an MQL.

    ``options``: cheapest first (fewest steps, then fewest points above need, then as in the document); for an MQL
    signals, and rules only if no signal is enough. If there is none, ``reason`` says so and ``closest`` is what comes
    nearest, if anything helps at all.
    """

    goal: Goal
    missing: int
    options: tuple[Suggestion, ...]
    closest: Suggestion | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Counterfactuals:
    """``mql``: None for an MQL. ``next_grade``: None for a lead with the best grade."""

    mql: Prospect | None
    next_grade: Prospect | None


@dataclass(frozen=True, slots=True)
class _Target:
    """A goal as numbers: fit (``is_fit``) or the whole sum must be ``limit``, with one of ``grades``."""

    goal: Goal
    limit: int
    is_fit: bool
    grades: frozenset[Grade]

    def excess(self, sums: Sums | ScoreResult) -> int:
        return (sums.fit if self.is_fit else sums.raw) - self.limit

    def is_reached(self, sums: Sums | ScoreResult) -> bool:
        return self.excess(sums) >= 0 and sums.grade in self.grades

    def nearness(self, sums: Sums | ScoreResult) -> tuple[bool, int]:
        return sums.grade in self.grades, self.excess(sums)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A suggestion before it is scored in full: a rule with its changes, or a signal."""

    group: str
    source: Rule | Signal
    steps: int
    sums: Sums
    changes: tuple[Change, ...] = ()

    def cost(self, target: _Target) -> tuple[bool, bool, int, int]:
        """Sort what reaches the goal first: by steps, then by points above need; the rest by what is still missing."""
        excess = target.excess(self.sums)
        if target.is_reached(self.sums):
            return False, False, self.steps, excess
        return True, self.sums.grade not in target.grades, -excess, self.steps


def find_counterfactuals(case: Case, *, is_mql: bool) -> Counterfactuals:
    """Return what would make the lead of *case* an MQL (unless it is one) and what would raise its grade."""
    now = case.score()
    trial = Trial(case, now)
    mql = None
    if not is_mql:
        limits = case.model.qualification
        target = _Target("mql", limits.enter_at, is_fit=False, grades=limits.grades)
        signals = list(_signals(case, trial, target))
        # Who a lead is, nobody can make it be: rules are named where no single thing it does is enough.
        is_enough = any(target.is_reached(each.sums) for each in signals)
        mql = _prospect(case, target, now, signals if is_enough else [*signals, *_rules(case, trial, target)])
    next_grade = None
    if (better := _better_grades(case.model, now.grade)) is not None:
        goal, limit, grades = better
        target = _Target(goal, limit, is_fit=True, grades=grades)
        next_grade = _prospect(case, target, now, list(_rules(case, trial, target)))
    return Counterfactuals(mql, next_grade)


def _better_grades(model: ScoringModel, grade: Grade) -> tuple[Grade, int, frozenset[Grade]] | None:
    """Return the next better letter, the fit it starts at, and all letters from there up; None above the best."""
    better: list[tuple[Grade, int]] = []
    for each, starts_at in model.grades:
        if each == grade:
            break
        better.append((each, starts_at))
    return (*better[-1], frozenset(letter for letter, _ in better)) if better else None


def _signals(case: Case, trial: Trial, target: _Target) -> Iterator[_Candidate]:
    """Yield each engagement signal with the fewest occurrences that reach the goal, or with all that still count."""
    for group in case.model.engagement:
        for signal in group.signals:
            most = _most_that_count(case, signal)
            if most == 0:
                continue
            (activity,) = occurrences_of(signal, 1, case.at)

            def sums_of(count: int, activity: Activity = activity) -> Sums:
                return trial.with_more(activity, count)

            count = _fewest(target, sums_of, most, only_gives=_only_gives(case, signal)) or most
            yield _Candidate(group.name, signal, count, sums_of(count))


def _most_that_count(case: Case, signal: Signal) -> int:
    """Return how many occurrences at one instant can give points, of *signal* or of others that count them too; each
    is worth full points then."""
    if signal.points <= 0:
        return 0
    (activity,) = occurrences_of(signal, 1, case.at)
    most = 0
    for group in case.model.engagement:
        for each in group.signals:
            if each.points > 0 and each.matches(activity):
                count = ceil(group.cap / each.points)
                most = max(most, count if each.frequency is None else min(count, each.frequency.times))
    return min(most, MOST_OCCURRENCES)


def _only_gives(case: Case, signal: Signal) -> bool:
    """Say if one more occurrence never lowers a score: no negative signal counts the same activity."""
    (activity,) = occurrences_of(signal, 1, case.at)
    return not any(each.matches(activity) for group in case.model.negative for each in group.signals)


def _fewest(target: _Target, sums_of: Callable[[int], Sums], most: int, *, only_gives: bool) -> int | None:
    """Return the smallest of 1..*most* that reaches the goal. *only_gives*: if a number does, every larger one does."""
    if not only_gives:
        return next((count for count in range(1, most + 1) if target.is_reached(sums_of(count))), None)
    if not target.is_reached(sums_of(most)):
        return None
    return bisect_left(range(1, most), True, key=lambda count: target.is_reached(sums_of(count))) + 1


def _rules(case: Case, trial: Trial, target: _Target) -> Iterator[_Candidate]:
    """Yield each fit rule that does not apply, made to apply in the way that serves the goal best."""
    for group in case.model.fit:
        for rule in group.rules:
            if rule.points > 0 and not rule.condition(case.lead, case.facts):
                ways = list(_ways(case, trial, group.name, rule))
                if ways:
                    yield min(ways, key=lambda each: each.cost(target))


def _ways(case: Case, trial: Trial, group: str, rule: Rule) -> Iterator[_Candidate]:
    """Yield ways in which *rule* would count for the lead, fewest changed inputs first."""
    for changes in islice(_changes_for(case, rule), MOST_SCORED):
        sums, lines = trial.with_inputs({change.name: change.after for change in changes})
        if any(line.source == rule.rule_id and line.group == group for line in lines):
            yield _Candidate(group, rule, len(changes), sums, changes)


def _changes_for(case: Case, rule: Rule) -> Iterator[tuple[Change, ...]]:
    """Yield changes of the rule's inputs after which its condition holds, all with the fewest inputs that do."""
    inputs: list[list[Change]] = []
    for each, values in rule.examples:
        if may_change(each.name):
            before = _example(each.read(case.lead, case.facts))
            inputs.append([Change(each.name, before, value) for value in values if value != before])
    tried = 0
    for size in range(1, len(inputs) + 1):
        found = False
        for changes in islice(_choices(inputs, size), MOST_TRIED - tried):
            tried += 1
            if rule.condition(*with_inputs(case.lead, case.facts, {one.name: one.after for one in changes})):
                found = True
                yield changes
        if found:
            return


def _choices(inputs: Sequence[Sequence[Change]], size: int) -> Iterator[tuple[Change, ...]]:
    for chosen in combinations(inputs, size):
        yield from product(*chosen)


def _example(value: object) -> Example:
    return value if isinstance(value, str | int) else None


def _prospect(case: Case, target: _Target, now: ScoreResult, candidates: list[_Candidate]) -> Prospect:
    missing = max(-target.excess(now), 0)
    ranked = sorted(candidates, key=lambda each: each.cost(target))  # stable: then as in the document
    options = [each for each in ranked if target.is_reached(each.sums)][:MOST_OPTIONS]
    if options:
        return Prospect(target.goal, missing, tuple(_suggestion(case, target, each) for each in options))
    nearest = next((each for each in ranked if target.nearness(each.sums) > target.nearness(now)), None)
    closest = None if nearest is None else _suggestion(case, target, nearest)
    return Prospect(target.goal, missing, (), closest, _reason(target, now, closest))


def _suggestion(case: Case, target: _Target, candidate: _Candidate) -> Suggestion:
    """Score what is suggested in full."""
    source = candidate.source
    if isinstance(source, Signal):
        result = case.score(occurrences_of(source, candidate.steps, case.at))
        return Suggestion(
            group=candidate.group,
            source=source.signal_id,
            steps=candidate.steps,
            excess=target.excess(result),
            result=result,
            kind=source.kind,
            detail=detail_of(source),
            is_colleagues=source.of_account,
        )
    result = case.score_with({change.name: change.after for change in candidate.changes})
    return Suggestion(
        group=candidate.group,
        source=source.rule_id,
        steps=candidate.steps,
        excess=target.excess(result),
        result=result,
        wording=source.wording,
        changes=candidate.changes,
    )


def _reason(target: _Target, now: ScoreResult, closest: Suggestion | None) -> str:
    at_best = now if closest is None else closest.result
    if closest is None:
        start = "no single signal or rule brings the lead nearer"
    else:
        start = f"no single signal or rule reaches it; the closest is {closest.source} of {closest.group}"
    lacks = []
    if (excess := target.excess(at_best)) < 0:
        lacks.append(f"{to_points(-excess):g} points are missing then")
    if at_best.grade not in target.grades:
        lacks.append(f"grade {at_best.grade} is not one of {', '.join(sorted(target.grades))}")
    return f"{start}: {' and '.join(lacks)}"
