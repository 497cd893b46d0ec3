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
"""censored: its horizon has not passed yet. already_reached: nothing was left to foresee at any submission."""

HOW_CHOSEN: Final = (
    "Each lead is scored once, as of its latest submission in the period, with what was known then. If it had reached"
    " the outcome by then, as of the latest submission before it did. It counts as positive if the outcome both"
    " happened and was reported within the horizon after that."
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A lead as it was known at ``at``. ``reached``: whether it reached the goal; means nothing unless judged."""

    at: datetime
    profile: Profile
    activities: tuple[Activity, ...]
    fate: Fate
    reached: bool


def judge(
    history: LeadHistory, outcomes: Sequence[Outcome], request: BacktestRequest, now: datetime
) -> Judgement | None:
    """Return how the lead is judged; None if it did not submit anything in the period."""
    submissions = [at for at, _ in history.profiles if request.since <= at < request.until]
    for at in reversed(submissions):
        label = label_at(outcomes, request.outcome, at, request.horizon)
        if label is not None:
            fate: Fate = "judged" if at + request.horizon <= now else "censored"
            return _known_at(history, at, fate, reached=label)
    return _known_at(history, submissions[-1], "already_reached", reached=True) if submissions else None


def _known_at(history: LeadHistory, at: datetime, fate: Fate, *, reached: bool) -> Judgement:
    profile = [profile for known_at, profile in history.profiles if known_at <= at][-1]
    known = [activity for activity in history.activities if activity.known_at <= at]
    if len(known) > MOST_ACTIVITIES:  # a decision looks at no more
        known = sorted(known, key=attrgetter("occurred_at"))[-MOST_ACTIVITIES:]
    return Judgement(at, profile, tuple(known), fate, reached)
