"""From what was counted to what is said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from scoring.domain.model import Grade
from scoring.domain.points import HUNDREDTHS, to_points
from scoring.planning.comparison import Comparison, CrossingCount, MovedLead, Moves, QualifiedCount, SliceCount
from scoring.planning.slices import OTHER, TYPED, UNKNOWN
from scoring.planning.views import (
    AgainstDecided,
    Crossings,
    DecidedBy,
    GradeChange,
    Mover,
    PartMoved,
    PlanResult,
    PointsMoved,
    Qualified,
    RuleMoved,
    Slice,
    Unused,
)

MOST_SLICES: Final = 25
MOST_RULES: Final = 100
FEWEST_TYPED: Final = 5  # leads that a value has that people typed: of fewer it may tell who they are


def report_on(
    comparison: Comparison,
    *,
    version: str,
    live_version: str,
    since: datetime,
    until: datetime,
    leads_in_period: int,
) -> PlanResult:
    """Return the result of a plan that has compared at least one lead."""
    moves = comparison.moves
    before, after = comparison.crossings
    slices = {
        name: _slices(counts, fewest=FEWEST_TYPED if name in TYPED else 1) for name, counts in comparison.slices.items()
    }
    return PlanResult(
        version=version,
        live_version=live_version,
        since=since,
        until=until,
        leads=comparison.leads,
        leads_in_period=leads_in_period,
        leads_cut=comparison.leads_cut,
        points=_points(moves),
        grade_changed=sum(leads for (old, new), leads in moves.grades.items() if old != new),
        grades=_grades(moves.grades),
        crossings_before=_crossings(before),
        crossings_after=_crossings(after),
        qualified=_qualified(comparison.qualified),
        qualified_at_end=_qualified(comparison.qualified_at_end),
        by_source=slices["source"],
        by_source_kind=slices["source_kind"],
        by_country=slices["country"],
        by_company_size=slices["company_size"],
        by_industry=slices["industry"],
        rules=_rules(comparison),
        top_movers=[_mover(each) for each in comparison.top_movers()],
        never_fired=[
            Unused(half=half, group=group or "", source=source) for half, group, source in comparison.never_fired()
        ],
        against_decided=AgainstDecided(
            decided_by=[DecidedBy(version=name, leads=leads) for name, leads in comparison.decided_by.most_common()],
            reproduced=comparison.reproduced,
            points=_points(comparison.decided_moves),
            grades=_grades(comparison.decided_moves.grades),
            crossings=_crossings(comparison.decided_crossings),
        ),
    )


def percentile(in_order: Sequence[int], percent: int) -> int:
    """Return the smallest value that *percent* of the values, sorted, do not exceed (nearest rank)."""
    return in_order[max(-(-len(in_order) * percent // 100), 1) - 1]


def _points(moves: Moves) -> PointsMoved:
    in_order = sorted(moves.moved)
    leads = len(in_order)
    up, down = sum(each > 0 for each in in_order), sum(each < 0 for each in in_order)
    return PointsMoved(
        mean_before=_mean(moves.before, leads),
        mean_after=_mean(moves.after, leads),
        mean=_mean(moves.after - moves.before, leads),
        p10=to_points(percentile(in_order, 10)),
        p50=to_points(percentile(in_order, 50)),
        p90=to_points(percentile(in_order, 90)),
        leads_up=up,
        leads_down=down,
        leads_unmoved=leads - up - down,
    )


def _mean(hundredths: int, leads: int) -> float:
    return round(hundredths / leads / HUNDREDTHS, 2)


def _grades(grades: Counter[tuple[Grade, Grade]]) -> list[GradeChange]:
    return [GradeChange(before=before, after=after, leads=leads) for (before, after), leads in sorted(grades.items())]


def _crossings(count: CrossingCount) -> Crossings:
    return Crossings(entered=count.entered, left=count.left, left_by_decay=count.left_by_decay)


def _qualified(count: QualifiedCount) -> Qualified:
    return Qualified(before=count.before, after=count.after, gained=count.gained, lost=count.lost)


def _slices(counts: Mapping[str, SliceCount], *, fewest: int) -> list[Slice]:
    """Return the values with the most leads, and the others, with those of fewer leads than *fewest*, as one."""
    in_order = sorted(counts.items(), key=lambda each: (-each[1].leads, each[0]))
    kept = [each for each in in_order if each[0] != OTHER and (each[0] == UNKNOWN or each[1].leads >= fewest)]
    shown = dict(kept[:MOST_SLICES])
    others = [count for value, count in in_order if value not in shown]
    return [_slice(value, count) for value, count in shown.items()] + ([_slice(OTHER, _sum(others))] if others else [])


def _slice(value: str, count: SliceCount) -> Slice:
    return Slice(
        value=value,
        leads=count.leads,
        mean_before=_mean(count.before, count.leads),
        mean_after=_mean(count.after, count.leads),
        grade_changed=count.grade_changed,
        qualified=_qualified(count.qualified),
    )


def _sum(counts: Sequence[SliceCount]) -> SliceCount:
    return SliceCount(
        leads=sum(each.leads for each in counts),
        before=sum(each.before for each in counts),
        after=sum(each.after for each in counts),
        grade_changed=sum(each.grade_changed for each in counts),
        qualified=QualifiedCount(
            before=sum(each.qualified.before for each in counts),
            after=sum(each.qualified.after for each in counts),
            gained=sum(each.qualified.gained for each in counts),
            lost=sum(each.qualified.lost for each in counts),
        ),
    )


def _rules(comparison: Comparison) -> list[RuleMoved]:
    in_order = sorted(comparison.parts_moved.items(), key=lambda each: (-abs(each[1][0]), -each[1][1], str(each[0])))
    return [
        RuleMoved(half=half, group=group, source=source, points=to_points(moved), leads=leads)
        for (half, group, source), (moved, leads) in in_order[:MOST_RULES]
    ]


def _mover(lead: MovedLead) -> Mover:
    was_mql, is_mql = lead.is_mql
    in_order = sorted(lead.parts.items(), key=lambda each: (-abs(each[1][1] - each[1][0]), str(each[0])))
    return Mover(
        lead_id=lead.lead_id,
        at=lead.at,
        points_before=to_points(lead.before.points),
        points_after=to_points(lead.after.points),
        grade_before=lead.before.grade,
        grade_after=lead.after.grade,
        is_mql_before=was_mql,
        is_mql_after=is_mql,
        because=[
            PartMoved(half=half, group=group, source=source, before=to_points(before), after=to_points(after))
            for (half, group, source), (before, after) in in_order
        ],
    )
