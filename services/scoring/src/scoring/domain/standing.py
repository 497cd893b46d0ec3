"""Where a lead stands at an instant: its score then, whether it is an MQL, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from scoring.domain.activity import Activity
from scoring.domain.decay import falls_below_at
from scoring.domain.model import ScoringModel
from scoring.domain.score import ScoreResult, score_lead
from shared.contracts import Facts, Lead


@dataclass(frozen=True, slots=True)
class Standing:
    """``mql_ends_at``: when decay alone will end it; None if it is no MQL or stays one."""

    result: ScoreResult
    is_mql: bool
    mql_ends_at: datetime | None


def stand_at(
    model: ScoringModel, lead: Lead, facts: Facts, activities: Sequence[Activity], at: datetime, *, was_mql: bool
) -> Standing:
    """Return where the lead stands at *at*, having been an MQL or not before."""
    result = score_lead(model, lead, facts, activities, at)
    is_mql = model.is_qualified(result.points, result.grade, was_qualified=was_mql)
    return Standing(result, is_mql, falls_below_at(model, result, activities, at) if is_mql else None)
