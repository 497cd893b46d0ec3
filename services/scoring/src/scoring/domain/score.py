"""The score of one lead at one instant, and the lines that add up to it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import exp2, fsum
from typing import Literal

import msgspec

from scoring.domain.activity import Activity
from scoring.domain.model import EngagementGroup, FitGroup, Grade, NegativeGroup, Rule, ScoringModel, Signal
from scoring.domain.points import MAX_SCORE, MIN_SCORE
from shared.contracts import Facts, Lead

LineKind = Literal["rule", "signal", "look_back", "frequency_cap", "decay", "group_cap", "floor", "clamp"]
Half = Literal["fit", "engagement", "negative", "total"]


class Line(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One contribution to a score. ``hundredths`` of all lines add up to the score.

    rule, signal: what gave the points (``source`` is its id, ``inputs`` or ``count`` and ``latest_at`` say why).
    look_back, frequency_cap, decay, group_cap, floor, clamp: what was taken from (or given back to) them, and where.
    """

    kind: LineKind
    half: Half
    hundredths: int
    group: str | None = None
    source: str | None = None
    count: int | None = None
    latest_at: datetime | None = None
    inputs: dict[str, str] = {}


class ScoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """A score in hundredths: ``raw`` = fit + engagement + negative, ``points`` = raw clamped to 0..100 points."""

    points: int
    raw: int
    fit: int
    engagement: int
    negative: int
    grade: Grade
    lines: tuple[Line, ...]


Moments = dict[Signal, list[datetime]]
"""For each signal, the instants its occurrences count from."""


def score_lead(
    model: ScoringModel, lead: Lead, facts: Facts, activities: Iterable[Activity], now: datetime
) -> ScoreResult:
    """Score a lead as of *now*. Same inputs in any order give the same result; the lines' sum is the score.

    *activities*: the lead's own, and where the model has an account group its colleagues' (``is_colleagues``).
    """
    lines: list[Line] = []
    fit = 0
    for group in model.fit:
        fit += _fit(group, lead, facts, lines)
    moments = occurrences(model, activities)
    engagement = 0
    if moments:
        happened = moments.keys()
        for engagement_group in model.engagement:
            if happened.isdisjoint(engagement_group.signals):
                continue  # most leads did one thing, and there are six groups
            engagement += _engagement(engagement_group, moments, now, lines)
    negative = 0
    for negative_group in model.negative:
        negative += _negative(negative_group, lead, facts, moments, now, lines)
    raw = fit + engagement + negative
    points = min(max(raw, MIN_SCORE), MAX_SCORE)
    if points != raw:
        lines.append(Line(kind="clamp", half="total", hundredths=points - raw))
    return ScoreResult(
        points=points,
        raw=raw,
        fit=fit,
        engagement=engagement,
        negative=negative,
        grade=model.grade_of(fit),
        lines=tuple(lines),
    )


def occurrences(model: ScoringModel, activities: Iterable[Activity]) -> Moments:
    """Sort *activities* under the signals that count them; one that no signal counts is left out."""
    moments: Moments = {}
    for activity in activities:
        signals_of = model.account_signals_of if activity.is_colleagues else model.signals_of
        for signal in signals_of.get(activity.kind, ()):
            if not signal.where or signal.matches(activity):
                moments.setdefault(signal, []).append(activity.counts_from)
    return moments


def decayed(points: int, half_life: float | None, moments: Sequence[datetime], now: datetime) -> float:
    """Return what is left at *now* of *points* for each of *moments*: half after each half-life (seconds).
    ``fsum``: the order of the activities must not show in the last bit."""
    if half_life is None:
        return float(points * len(moments))
    return points * fsum(exp2(-max((now - moment).total_seconds(), 0.0) / half_life) for moment in moments)


def _fit(group: FitGroup, lead: Lead, facts: Facts, lines: list[Line]) -> int:
    total = 0
    for rule in group.rules:
        if rule.condition(lead, facts):
            total += rule.points
            if rule.points:
                lines.append(_rule_line(rule, "fit", group.name, lead, facts))
            if group.choice == "best":
                break
    return _capped(total, group.cap, "fit", group.name, lines)


def _engagement(group: EngagementGroup, moments: Moments, now: datetime, lines: list[Line]) -> int:
    total = 0
    for signal in group.signals:
        happened = moments.get(signal)
        if happened is None:
            continue
        counted = _count(signal, happened, now, "engagement", group.name, lines)
        gross = signal.points * len(counted)
        left = round(decayed(signal.points, signal.half_life, counted, now))
        if left != gross:
            lines.append(
                Line(
                    kind="decay",
                    half="engagement",
                    group=group.name,
                    source=signal.signal_id,
                    hundredths=left - gross,
                )
            )
        total += left
    return _capped(total, group.cap, "engagement", group.name, lines)


def _negative(
    group: NegativeGroup, lead: Lead, facts: Facts, moments: Moments, now: datetime, lines: list[Line]
) -> int:
    total = 0
    for rule in group.rules:
        if rule.condition(lead, facts):
            total += rule.points
            lines.append(_rule_line(rule, "negative", group.name, lead, facts))
    if moments:
        for signal in group.signals:
            if (happened := moments.get(signal)) is not None:
                total += signal.points * len(_count(signal, happened, now, "negative", group.name, lines))
    if total < group.floor:
        lines.append(Line(kind="floor", half="negative", group=group.name, hundredths=group.floor - total))
        return group.floor
    return total


def _count(
    signal: Signal, happened: list[datetime], now: datetime, half: Half, group: str, lines: list[Line]
) -> list[datetime]:
    """Write down every occurrence and what look-back window and frequency cap took; return those that count."""
    lines.append(
        Line(
            kind="signal",
            half=half,
            group=group,
            source=signal.signal_id,
            hundredths=signal.points * len(happened),
            count=len(happened),
            latest_at=max(happened),
        )
    )
    recent = signal.recent(happened, now)
    counted = signal.counted(recent)
    if len(recent) < len(happened):
        lines.append(_dropped_line("look_back", signal, len(happened) - len(recent), half, group))
    if len(counted) < len(recent):
        lines.append(_dropped_line("frequency_cap", signal, len(recent) - len(counted), half, group))
    return counted


def _dropped_line(kind: LineKind, signal: Signal, dropped: int, half: Half, group: str) -> Line:
    return Line(
        kind=kind,
        half=half,
        group=group,
        source=signal.signal_id,
        hundredths=-signal.points * dropped,
        count=dropped,
    )


def _capped(total: int, cap: int, half: Half, group: str, lines: list[Line]) -> int:
    if total <= cap:
        return total
    lines.append(Line(kind="group_cap", half=half, group=group, hundredths=cap - total))
    return cap


def _rule_line(rule: Rule, half: Half, group: str, lead: Lead, facts: Facts) -> Line:
    return Line(
        kind="rule",
        half=half,
        group=group,
        source=rule.rule_id,
        hundredths=rule.points,
        inputs={field.name: str(value) for field in rule.inputs if (value := field.read(lead, facts)) is not None},
    )
