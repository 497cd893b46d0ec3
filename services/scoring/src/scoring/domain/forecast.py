"""What time alone will do to a lead's score, by the formula that scores it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from scoring.domain.activity import Activity
from scoring.domain.decay import falls_below_at
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.domain.standing import Standing
from shared.contracts import Facts, Lead

HORIZONS: Final = (1, 7, 14, 30)  # days ahead

Limit = Literal["mql_from", "mql_until"]


@dataclass(frozen=True, slots=True)
class Fall:
    """When the score is below a limit if nothing happens: the first such millisecond, the instant itself if it is
    below already, ``None`` if it never will be. ``mql_from``: where a lead becomes an MQL; ``mql_until``: where one
    stops being one."""

    limit: Limit
    hundredths: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The score *days* from now if nothing happens; ``is_mql`` with everything that decay ends until then."""

    days: int
    at: datetime
    points: int
    engagement: int
    is_mql: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """``mql_ends_at``: when decay alone ends the MQL state; ``None`` = never, or no MQL."""

    mql_ends_at: datetime | None
    falls: tuple[Fall, ...]
    outlooks: tuple[Outlook, ...]


def forecast(
    model: ScoringModel, lead: Lead, facts: Facts, activities: Sequence[Activity], at: datetime, standing: Standing
) -> Forecast:
    """Return what will become of a lead that stands at *standing* at *at* if nothing else happens to it."""
    limits = model.qualification
    falls = []
    named: tuple[tuple[Limit, int], ...] = (("mql_from", limits.enter_at), ("mql_until", limits.leave_below))
    for name, limit in named:
        asked = replace(model, qualification=replace(limits, leave_below=limit))
        falls.append(Fall(name, limit, falls_below_at(asked, standing.result, activities, at)))
    outlooks = []
    for days in HORIZONS:
        then = at + timedelta(days=days)
        result = score_lead(model, lead, facts, activities, then)
        ends_at = standing.mql_ends_at
        outlooks.append(
            Outlook(
                days=days,
                at=then,
                points=result.points,
                engagement=result.engagement,
                is_mql=standing.is_mql and (ends_at is None or then < ends_at),
            )
        )
    return Forecast(standing.mql_ends_at, tuple(falls), tuple(outlooks))
