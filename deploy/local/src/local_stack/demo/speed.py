"""How fast: exact percentiles of stored instants, and estimates from a service's histogram where none are stored."""

import math
from collections.abc import Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

SPEED_TO_LEAD = "leadrail_speed_to_lead_seconds"

Buckets = Mapping[float, float]
"""Upper bound in seconds → observations up to it, as Prometheus counts them."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of *ordered* (ascending, not empty) does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def read_buckets(metrics: str, stage: str) -> dict[float, float]:
    """Return the buckets of a stage in the text of a ``/metrics`` page; empty if nothing was observed yet."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(metrics)
        if family.name == SPEED_TO_LEAD
        for sample in family.samples
        if sample.name.endswith("_bucket") and sample.labels["stage"] == stage
    }


def between(before: Buckets, after: Buckets) -> dict[float, float]:
    """Return what was observed between two readings."""
    return {bound: count - before.get(bound, 0) for bound, count in after.items()}


def count_of(buckets: Buckets) -> int:
    """Return how many observations there are."""
    return int(max(buckets.values(), default=0))


def estimate(buckets: Buckets, share: float) -> float:
    """Return the percentile in seconds, interpolated within its bucket as Prometheus' ``histogram_quantile`` does.

    Beyond the last bound it is that bound. There must be an observation.
    """
    wanted = share * count_of(buckets)
    lower, below = 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= wanted and count > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
