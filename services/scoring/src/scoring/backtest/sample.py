"""Which leads a backtest judges, at which instant, with what was known of them then, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final, Literal

from scoring.backtest.request import BacktestRequest
from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.history import LeadHistory
from scoring.outcomes.outcome import Outcome, label_at
from scoring.repository import MOST_ACTIVITIES

Fate = Literal["judged", "censored", "already_reached"]
"""censored: its horizon has not passed yet. already_reached: nothing was left to foresee."""

HOW_CHOSEN: Final = (
    "Each lead is scored once, as of its first submission in the period, with what was known then: an instant that does"
    " not depend on what became of it. A lead that had reached the outcome by then is not judged. It counts as positive"
    " if the outcome both happened and was reported within the horizon after that. Drift looks at the leads as of their"
    " latest submission in the period, judged or not."
)


@dataclass(frozen=True, slots=True)
class KnownLead:
    """A lead as it was known at ``at``."""

    at: datetime
    profile: Profile
    activities: tuple[Activity, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A lead as it was known when it is judged. ``reached`` the goal or not: means nothing unless judged."""

    known: KnownLead
    fate: Fate
    reached: bool


def judge(
    history: LeadHistory, outcomes: Sequence[Outcome], request: BacktestRequest, now: datetime
) -> Judgement | None:
    """Return how the lead is judged; None if it did not submit anything in the period."""
    first = next(iter(_submitted_at(history, request)), None)
    if first is None:
        return None
    label = label_at(outcomes, request.outcome, first, request.horizon)
    fate: Fate = "judged"
    if label is None:
        fate = "already_reached"
    elif first + request.horizon > now:
        fate = "censored"
    return Judgement(_known_at(history, first), fate, reached=bool(label))


def known_at_latest(history: LeadHistory, request: BacktestRequest) -> KnownLead | None:
    """Return the lead as of its latest submission in the period; None if there is none."""
    submitted_at = _submitted_at(history, request)
    return _known_at(history, submitted_at[-1]) if submitted_at else None


def _submitted_at(history: LeadHistory, request: BacktestRequest) -> list[datetime]:
    return [at for at, _ in history.profiles if request.since <= at < request.until]


def _known_at(history: LeadHistory, at: datetime) -> KnownLead:
    profile = [profile for known_at, profile in history.profiles if known_at <= at][-1]
    known = [activity for activity in history.activities if activity.known_at <= at]
    if len(known) > MOST_ACTIVITIES:  # a decision looks at no more
        known = sorted(known, key=attrgetter("occurred_at"))[-MOST_ACTIVITIES:]
    return KnownLead(at, profile, tuple(known))
