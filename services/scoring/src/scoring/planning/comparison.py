"""Adds up, lead by lead, what a planned version of the model would change. Pure: no clock, no database."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from scoring.domain.activity import Activity
from scoring.domain.decision import Decision, Profile
from scoring.domain.model import Grade, ScoringModel
from scoring.domain.points import to_hundredths
from scoring.domain.replay import Replay, facts_of, replay
from scoring.domain.score import Half, Line, ScoreResult
from scoring.history import LeadHistory
from scoring.planning.slices import DIMENSIONS
from scoring.repository import MOST_ACTIVITIES

MOST_MOVERS: Final = 50

Part = tuple[Half, str | None, str]
"""Half, group, and the id of a rule or signal; or the kind of a line that has none (group_cap, floor, clamp)."""


@dataclass(slots=True)
class CrossingCount:
    """Crossings of the MQL threshold."""

    entered: int = 0
    left: int = 0
    left_by_decay: int = 0

    def add(self, *, turned_mql: bool | None, is_decay: bool) -> None:
        """Count one decision's crossing, if it is one."""
        if turned_mql:
            self.entered += 1
        elif turned_mql is not None:
            self.left += 1
            self.left_by_decay += is_decay


@dataclass(slots=True)
class QualifiedCount:
    """Leads that are MQLs under one version, the other, both."""

    before: int = 0
    after: int = 0
    gained: int = 0
    lost: int = 0

    def add(self, before: bool, after: bool) -> None:  # noqa: FBT001 - a pair, always named so
        """Count one lead."""
        self.before += before
        self.after += after
        self.gained += after and not before
        self.lost += before and not after


@dataclass(slots=True)
class SliceCount:
    """The leads that have one value of something. Sums are in hundredths."""

    leads: int = 0
    before: int = 0
    after: int = 0
    grade_changed: int = 0
    qualified: QualifiedCount = field(default_factory=QualifiedCount)


@dataclass(slots=True)
class Moves:
    """Points before and after, in hundredths, and the letters."""

    moved: list[int] = field(default_factory=list)
    before: int = 0
    after: int = 0
    grades: Counter[tuple[Grade, Grade]] = field(default_factory=Counter)

    def add(self, points: tuple[int, int], grades: tuple[Grade, Grade]) -> None:
        """Count one lead."""
        before, after = points
        self.moved.append(after - before)
        self.before += before
        self.after += after
        self.grades[grades] += 1


@dataclass(frozen=True, slots=True)
class MovedLead:
    """A lead that moves far. ``parts``: hundredths before and after of each part that differs."""

    lead_id: str
    at: datetime
    before: ScoreResult
    after: ScoreResult
    is_mql: tuple[bool, bool]
    parts: dict[Part, tuple[int, int]]


class Comparison:
    """The planned model beside the live one, over the leads of a period. What `add` has seen is in the attributes."""

    def __init__(self, live: ScoringModel, planned: ScoringModel, since: datetime, until: datetime) -> None:
        self._live, self._planned, self._since, self._until = live, planned, since, until
        self.leads = 0
        self.leads_cut = 0
        self.moves = Moves()
        self.crossings = (CrossingCount(), CrossingCount())
        self.qualified = QualifiedCount()
        self.qualified_at_end = QualifiedCount()
        self.slices: dict[str, dict[str, SliceCount]] = {name: {} for name in DIMENSIONS}
        self.parts_moved: dict[Part, tuple[int, int]] = {}
        """For each part: hundredths moved in all, leads moved."""
        self.decided_by: Counter[str] = Counter()
        self.reproduced = 0
        self.decided_moves = Moves()
        self.decided_crossings = CrossingCount()
        self._fired: set[tuple[Half, str | None, str | None]] = set()
        self._movers: list[tuple[int, str, MovedLead]] = []

    def add(self, history: LeadHistory, colleagues: Sequence[Activity] = ()) -> None:
        """Replay one lead under both models, and count the difference as of its last decision."""
        decided = history.decisions[-1]
        at = decided.scored_at
        facts = facts_of(history.profiles, history.activities, colleagues)
        before, after = (
            replay(model, facts, at=at, until=self._until, most_activities=MOST_ACTIVITIES, colleagues=colleagues)
            for model in (self._live, self._planned)
        )
        if before is None or after is None:
            return
        self.leads += 1
        self.leads_cut += history.is_cut
        results = before.result, after.result
        self.moves.add((results[0].points, results[1].points), (results[0].grade, results[1].grade))
        was_qualified = self._count_qualified(before.decisions, after.decisions)
        self._count_slices(after.profile, results, was_qualified)
        self._count_fired(after)
        self._count_decided(history, results)
        if results[0].lines != results[1].lines:
            self._count_parts(MovedLead(
                history.lead_id, at, *results, (before.is_mql, after.is_mql), parts_between(*results)
            ))  # fmt: skip

    def top_movers(self) -> list[MovedLead]:
        """Return the leads that move farthest, first the farthest."""
        return [mover for *_, mover in sorted(self._movers, reverse=True)]

    def never_fired(self) -> list[Part]:
        """Return the rules and signals of the planned model that no replayed decision of the period has a line of.
        A fit rule of zero points has none anyway, and is left out."""
        return [part for part in _parts_of(self._planned) if part not in self._fired]

    def _count_qualified(self, before: Sequence[Decision], after: Sequence[Decision]) -> tuple[bool, bool]:
        for decisions, crossings in zip((before, after), self.crossings, strict=True):
            for each in decisions:
                if each.score.scored_at >= self._since:
                    crossings.add(turned_mql=each.turned_mql, is_decay=each.trigger == "decay")
        ever = self._was_qualified(before), self._was_qualified(after)
        self.qualified.add(*ever)
        self.qualified_at_end.add(_is_mql_after(before), _is_mql_after(after))
        return ever

    def _was_qualified(self, decisions: Sequence[Decision]) -> bool:
        """Tell whether the lead was an MQL at any instant of the period: when it began, or by a decision in it."""
        for each in reversed(decisions):
            if each.score.is_mql:
                return True
            if each.score.scored_at < self._since:
                return False
        return False

    def _count_slices(
        self, profile: Profile, results: tuple[ScoreResult, ScoreResult], was_qualified: tuple[bool, bool]
    ) -> None:
        before, after = results
        for name, value_of in DIMENSIONS.items():
            value, slices = value_of(profile), self.slices[name]
            count = slices.get(value)
            if count is None:
                count = slices[value] = SliceCount()
            count.leads += 1
            count.before += before.points
            count.after += after.points
            count.grade_changed += before.grade != after.grade
            count.qualified.add(*was_qualified)

    def _count_fired(self, after: Replay) -> None:
        for line in after.result.lines:
            self._fired.add((line.half, line.group, line.source))
        for decision in after.decisions:
            if decision.score.scored_at >= self._since and decision.result is not after.result:
                for line in decision.result.lines:
                    self._fired.add((line.half, line.group, line.source))

    def _count_decided(self, history: LeadHistory, results: tuple[ScoreResult, ScoreResult]) -> None:
        decisions = history.decisions
        last = decisions[-1]
        before, after = results
        self.decided_by[last.model_version] += 1
        points = to_hundredths(last.points)
        self.reproduced += points == before.points and last.grade == before.grade
        self.decided_moves.add((points, after.points), (last.grade, after.grade))
        was_mql = history.is_cut and decisions[0].is_mql
        for each in decisions:
            if each.is_mql != was_mql and each.scored_at >= self._since:
                self.decided_crossings.add(turned_mql=each.is_mql, is_decay=each.trigger == "decay")
            was_mql = each.is_mql

    def _count_parts(self, lead: MovedLead) -> None:
        for part, (before, after) in lead.parts.items():
            moved, leads = self.parts_moved.get(part, (0, 0))
            self.parts_moved[part] = moved + after - before, leads + 1
        if moved := abs(lead.after.points - lead.before.points):
            entry = (moved, lead.lead_id, lead)
            if len(self._movers) < MOST_MOVERS:
                heapq.heappush(self._movers, entry)
            else:
                heapq.heappushpop(self._movers, entry)


def parts_between(before: ScoreResult, after: ScoreResult) -> dict[Part, tuple[int, int]]:
    """Return what each part that differs gives or takes before and after, in hundredths. Their differences add up to
    the points moved."""
    first, second = _by_part(before.lines), _by_part(after.lines)
    return {
        part: (first.get(part, 0), second.get(part, 0))
        for part in {**first, **second}
        if first.get(part, 0) != second.get(part, 0)
    }


def _by_part(lines: Sequence[Line]) -> dict[Part, int]:
    """Add up a signal's lines (its occurrences, what caps and decay took): each is its doing."""
    parts: dict[Part, int] = {}
    for line in lines:
        part = line.half, line.group, line.source or line.kind
        parts[part] = parts.get(part, 0) + line.hundredths
    return parts


def _parts_of(model: ScoringModel) -> Iterator[Part]:
    for fit in model.fit:
        yield from (("fit", fit.name, rule.rule_id) for rule in fit.rules if rule.points)
    for engagement in model.engagement:
        yield from (("engagement", engagement.name, signal.signal_id) for signal in engagement.signals)
    for negative in model.negative:
        yield from (("negative", negative.name, rule.rule_id) for rule in negative.rules)
        yield from (("negative", negative.name, signal.signal_id) for signal in negative.signals)


def _is_mql_after(decisions: Sequence[Decision]) -> bool:
    return bool(decisions) and decisions[-1].score.is_mql
