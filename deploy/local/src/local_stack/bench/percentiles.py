"""Percentiles by nearest rank: each is a value that was measured, never one between two."""

import math
import statistics
from collections.abc import Iterable, Sequence

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of one stage over ``count`` requests."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of *ordered* (ascending) that at least *share* of all do not exceed."""
    if not ordered:
        raise ValueError("nothing was measured")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(seconds: Iterable[float]) -> Latency | None:
    """Return the percentiles in milliseconds; None when nothing was measured."""
    ordered = sorted(1000 * one for one in seconds)
    if not ordered:
        return None
    return Latency(
        count=len(ordered),
        p50=round(percentile(ordered, 0.50), 2),
        p90=round(percentile(ordered, 0.90), 2),
        p99=round(percentile(ordered, 0.99), 2),
        max=round(ordered[-1], 2),
    )


def median_of(latencies: Sequence[Latency | None]) -> Latency | None:
    """Return the median of each percentile over several runs; None when one of them measured nothing."""
    measured = [one for one in latencies if one is not None]
    if not measured or len(measured) < len(latencies):
        return None
    return Latency(
        count=sum(one.count for one in measured),
        p50=statistics.median(one.p50 for one in measured),
        p90=statistics.median(one.p90 for one in measured),
        p99=statistics.median(one.p99 for one in measured),
        max=max(one.max for one in measured),
    )


def median_growth(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much the median value rises from the second quarter of *points* (time, value) to the last.

    A queue that grows shows here, whatever the level; the first quarter is left out because connections warm up in it.
    """
    ordered = [value for _, value in sorted(points)]
    quarter = len(ordered) // 4
    if not quarter:
        return 0.0
    return statistics.median(ordered[-quarter:]) - statistics.median(ordered[quarter : 2 * quarter])
