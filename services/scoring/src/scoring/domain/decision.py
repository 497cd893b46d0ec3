"""What happens to a lead's score when something happened to the lead, or when enough time has passed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from scoring.domain.activity import Activity
from scoring.domain.decay import falls_below_at
from scoring.domain.model import ScoringModel
from scoring.domain.points import to_points
from scoring.domain.score import ScoreResult, score_lead
from shared.contracts import Facts, Lead, Origin, Score

Trigger = Literal["submission", "activity", "decay", "account"]
"""``account``: colleagues did something."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Who a lead is, as of its latest submission."""

    origin: Origin
    lead: Lead
    facts: Facts
    has_gpc: bool = False


@dataclass(slots=True)
class LeadState:
    """A lead as scoring knows it. ``profile`` is None while only activities of it are known.

    ``profile_id``: the stored decision that brought the profile; None if none is stored yet. ``decided_points``: the
    score of its latest decision. ``colleagues``: what others of its account did, if the model counts that.
    """

    lead_id: str
    profile: Profile | None = None
    activities: list[Activity] = field(default_factory=list)
    is_mql: bool = False
    profile_id: str | None = None
    decided_points: float | None = None
    colleagues: Sequence[Activity] = ()

    def scored_activities(self) -> list[Activity]:
        """Return everything a score looks at."""
        return [*self.activities, *self.colleagues] if self.colleagues else self.activities


class Decision(msgspec.Struct, frozen=True):
    """A score that was decided, and what it was decided from. ``turned_mql``: True or False if the lead crossed.

    ``profile_id``: as in the state that was loaded; a decision about a submission brings a profile of its own.
    """

    lead_id: str
    trigger: Trigger
    profile: Profile
    result: ScoreResult
    score: Score
    turned_mql: bool | None
    profile_id: str | None = None


def on_submission(
    model: ScoringModel, version: str, state: LeadState, profile: Profile, activities: list[Activity], now: datetime
) -> Decision:
    """Take the profile of a submission, add the activities it proves, score. Changes *state*."""
    state.profile = profile
    state.activities.extend(activities)
    return _decide(model, version, state, profile, "submission", _score(model, state, profile, now), now)


def on_activity(
    model: ScoringModel, version: str, state: LeadState, activity: Activity, now: datetime
) -> Decision | None:
    """Score again, because the lead did something. None if the lead is not known yet (the activity waits for it) or
    the model does not count such an activity. Changes *state*."""
    state.activities.append(activity)
    if state.profile is None or not model.counts(activity.kind):
        return None
    return _decide(model, version, state, state.profile, "activity", _score(model, state, state.profile, now), now)


def on_decay(model: ScoringModel, version: str, state: LeadState, now: datetime) -> Decision | None:
    """Decay was said to take the lead below the limit by now. None if it did not. Changes *state*."""
    if state.profile is None or not state.is_mql:
        return None
    result = _score(model, state, state.profile, now)
    if model.is_qualified(result.points, result.grade, was_qualified=True):
        return None
    return _decide(model, version, state, state.profile, "decay", result, now)


def on_colleague(model: ScoringModel, version: str, state: LeadState, now: datetime) -> Decision | None:
    """Score again, because colleagues did something. None if that neither raised the decided score nor took the lead
    across the MQL limit: what decay took meanwhile is no news. Changes *state*."""
    if state.profile is None:
        return None
    result = _score(model, state, state.profile, now)
    is_mql = model.is_qualified(result.points, result.grade, was_qualified=state.is_mql)
    if is_mql == state.is_mql and to_points(result.points) <= (state.decided_points or 0.0):
        return None
    return _decide(model, version, state, state.profile, "account", result, now)


def mql_ends_at(model: ScoringModel, state: LeadState, result: ScoreResult, now: datetime) -> datetime | None:
    """Return when decay alone will end the lead's MQL state; None if it has none or keeps it for good."""
    return falls_below_at(model, result, state.scored_activities(), now) if state.is_mql else None


def contract_score(result: ScoreResult, *, is_mql: bool, version: str, now: datetime) -> Score:
    """Return the score as other services see it."""
    return Score(
        points=to_points(result.points),
        raw=to_points(result.raw),
        fit=to_points(result.fit),
        engagement=to_points(result.engagement),
        grade=result.grade,
        is_mql=is_mql,
        model_version=version,
        scored_at=now,
    )


def _score(model: ScoringModel, state: LeadState, profile: Profile, now: datetime) -> ScoreResult:
    return score_lead(model, profile.lead, profile.facts, state.scored_activities(), now)


def _decide(
    model: ScoringModel,
    version: str,
    state: LeadState,
    profile: Profile,
    trigger: Trigger,
    result: ScoreResult,
    now: datetime,
) -> Decision:
    is_mql = model.is_qualified(result.points, result.grade, was_qualified=state.is_mql)
    turned = None if is_mql == state.is_mql else is_mql
    state.is_mql = is_mql
    return Decision(
        lead_id=state.lead_id,
        trigger=trigger,
        profile=profile,
        result=result,
        score=contract_score(result, is_mql=is_mql, version=version, now=now),
        turned_mql=turned,
        profile_id=state.profile_id,
    )
