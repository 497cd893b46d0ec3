"""What the predictive model looks at: for each lead a closed list of levels, and an amount per kind of activity.

Nothing a sales team reports of a lead (first touch, accepted .. lost) is among them: that is the outcome, or follows
from being called.
"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from math import exp2, fsum, log1p
from typing import Final, get_args

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from shared.contracts import ActivityKind

SECONDS_A_DAY: Final = 86_400
UNKNOWN: Final = "unknown"
OTHER: Final = "other leads"
"""The level of everything that was too rare to learn from. No input has a level of its own by this name."""
LONGEST_LEVEL: Final = 60

LEVEL_INPUTS: Final = (
    "facts.seniority", "facts.department", "facts.email_kind", "facts.subject_kind", "facts.is_competitor",
    "lead.employees", "lead.industry", "lead.country", "origin.source_kind", "has_gpc",
)  # fmt: skip
"""Inputs of which a lead has exactly one level, in the order of `levels_of`."""

_REPORTED_BY_SALES: Final = frozenset({"first_touch", "accepted", "rejected", "opportunity", "won", "lost"})
BEHAVIOURS: Final[tuple[ActivityKind, ...]] = tuple(
    kind for kind in get_args(ActivityKind) if kind not in _REPORTED_BY_SALES
)
"""Kinds of activity that count. Each is an input with an amount; 0 = it never happened."""

_SIZES: Final = (1, 10, 50, 200, 1000, 5000)
_SIZE_BANDS: Final = ("0..1", "2..10", "11..50", "51..200", "201..1000", "1001..5000", "5001..")


def levels_of(profile: Profile) -> tuple[str, ...]:
    """Return the lead's level of each of `LEVEL_INPUTS`; ``unknown`` where nothing is known."""
    lead, facts = profile.lead, profile.facts
    employees, industry = lead.employees, lead.industry
    return (
        facts.seniority,
        facts.department,
        facts.email_kind,
        facts.subject_kind,
        "yes" if facts.is_competitor else "no",
        UNKNOWN if employees is None else _SIZE_BANDS[bisect_left(_SIZES, employees)],
        industry[:LONGEST_LEVEL].strip().casefold() or UNKNOWN if industry else UNKNOWN,
        lead.country or UNKNOWN,
        profile.origin.source_kind,
        "yes" if profile.has_gpc else "no",
    )


def amounts_of(activities: Iterable[Activity], at: datetime, half_life_days: float) -> dict[ActivityKind, float]:
    """Return log(1 + occurrences) per kind of activity, each occurrence halved every *half_life_days* until *at*.

    Only what the lead itself did and what was known at *at* counts. The order of *activities* does not show in a
    single bit.
    """
    half_life = half_life_days * SECONDS_A_DAY
    weights: dict[ActivityKind, list[float]] = {}
    for activity in activities:
        if activity.known_at <= at and not activity.is_colleagues and activity.kind not in _REPORTED_BY_SALES:
            age = (at - activity.counts_from).total_seconds()
            weights.setdefault(activity.kind, []).append(exp2(-age / half_life))
    return {kind: log1p(fsum(each)) for kind, each in weights.items()}
