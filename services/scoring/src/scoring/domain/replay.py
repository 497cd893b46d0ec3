"""What another model would have decided about a lead, from what was known of it at each instant.

The decisions are made by the very functions that decide about live leads, in the order in which things became known,
so that a replay of the version that decided gives what was decided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scoring.domain.account import MOST_DEEDS, end_of_pause
from scoring.domain.activity import Activity, submitted_activity_id
from scoring.domain.decay import falls_below_at
from scoring.domain.decision import Decision, LeadState, Profile, on_activity, on_colleague, on_decay, on_submission
from scoring.domain.model import ScoringModel
from scoring.domain.score import ScoreResult, score_lead

LOOK_AGAIN: Final = timedelta(milliseconds=100)  # when decay was said to end an MQL and has not quite

_SHORTEST: Final = timedelta(microseconds=1)
_VERSION: Final = ""  # nobody sees a replayed decision outside its replay


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that became known of a lead at an instant: a submission with what it proves, or one activity; or
    neither: then it is time to look at what colleagues did."""

    at: datetime
    profile: Profile | None
    activities: list[Activity]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a model decides about a lead. ``decisions``: in order, those that decay causes among them.

    ``profile``, ``result``, ``is_mql``: who the lead is and where it stands at the instant that was asked for.
    """

    decisions: list[Decision]
    profile: Profile
    result: ScoreResult
    is_mql: bool


def facts_of(
    profiles: Iterable[tuple[datetime, Profile]],
    activities: Iterable[Activity],
    colleagues: Iterable[Activity] = (),
) -> list[Fact]:
    """Return what became known of a lead, in the order in which it did. *colleagues*: what others of its account did.

    What became known at one instant (in one batch) is ordered as it happened, submissions first: Kafka keeps that
    order for each lead, and nothing else of it is kept. An activity that a submission proves comes with it.
    """
    facts: list[tuple[datetime, int, datetime, str, Fact]] = []
    proven: dict[tuple[datetime, str], Fact] = {}
    for known_at, profile in profiles:
        fact = Fact(known_at, profile, [])
        proven[known_at, profile.origin.record_id] = fact
        facts.append((known_at, 0, profile.origin.received_at, profile.origin.record_id, fact))
    for activity in activities:
        record_id = activity.activity_id.removesuffix(submitted_activity_id("", activity.kind))
        fact_of_submission = proven.get((activity.known_at, record_id))
        if fact_of_submission is not None:
            fact_of_submission.activities.append(activity)
        else:
            fact = Fact(activity.known_at, None, [activity])
            facts.append((activity.known_at, 1, activity.occurred_at, activity.activity_id, fact))
    looks = {end_of_pause(each.known_at) for each in colleagues}
    facts.extend((at, 2, at, "", Fact(at, None, [])) for at in looks)
    facts.sort(key=lambda each: each[:4])
    return [fact for *_, fact in facts]


def replay(
    model: ScoringModel,
    facts: Sequence[Fact],
    *,
    at: datetime,
    until: datetime,
    most_activities: int,
    colleagues: Sequence[Activity] = (),
) -> Replay | None:
    """Decide about a lead as its *facts* became known, up to before *until*; None if it was no lead yet at *at*.

    *at* (before *until*): the instant whose standing is wanted. *most_activities*: so many, the newest, are looked at,
    as by the handlers. *colleagues*: as for `facts_of`, in the order in which they became known; a model without an
    account group does not look at them.
    """
    player = _Player(model, most_activities, colleagues if model.has_account else ())
    standing: tuple[Profile, ScoreResult, bool] | None = None
    for fact in facts:
        if fact.at >= until:
            break
        if standing is None and fact.at > at:
            standing = player.stand(at)
            if standing is None:
                return None
        player.take(fact)
    if standing is None:
        standing = player.stand(at)
    player.let_pass(until)
    return None if standing is None else Replay(player.decisions, *standing)


class _Player:
    """A lead under one model, at an instant that only moves on."""

    __slots__ = ("_colleagues", "_met", "_model", "_most", "_mql", "_not_before", "_state", "decisions")

    def __init__(self, model: ScoringModel, most_activities: int, colleagues: Sequence[Activity]) -> None:
        self._model = model
        self._colleagues = colleagues
        self._met = 0
        self._most = most_activities
        self._state = LeadState("")
        self._mql: tuple[ScoreResult, datetime] | None = None  # the score that makes it one, and when it was that
        self._not_before: datetime | None = None
        self.decisions: list[Decision] = []

    def take(self, fact: Fact) -> None:
        """Decide about what became known. Decay that ends an MQL at this very instant comes too late: its timer has
        not fired yet."""
        self.let_pass(fact.at)
        self._meet_colleagues(fact.at)
        state = self._state
        if fact.profile is not None:
            self._keep(on_submission(self._model, _VERSION, state, fact.profile, fact.activities, fact.at), fact.at)
        elif fact.activities:
            for activity in fact.activities:
                self._keep(on_activity(self._model, _VERSION, state, activity, fact.at), fact.at)
        elif self._colleagues and self._can_qualify():
            self._keep(on_colleague(self._model, _VERSION, state, fact.at), fact.at)
        if len(state.activities) > self._most:
            state.activities = sorted(state.activities, key=_when_it_occurred)[-self._most :]

    def let_pass(self, before: datetime) -> None:
        """Let decay do what it does before an instant."""
        while self._mql is not None:
            # Asked for only now, when it is known how far to look: mostly something happens before decay has done it.
            ends_at = falls_below_at(self._model, self._mql[0], self._state.scored_activities(), self._mql[1], before)
            if ends_at is not None and self._not_before is not None:
                ends_at = max(ends_at, self._not_before)
            if ends_at is None or ends_at >= before:
                return
            self._meet_colleagues(ends_at)
            decision = on_decay(self._model, _VERSION, self._state, ends_at)
            if decision is not None:
                self._keep(decision, ends_at)
            else:
                self._mql, self._not_before = (self._score(ends_at), ends_at), ends_at + LOOK_AGAIN

    def stand(self, at: datetime) -> tuple[Profile, ScoreResult, bool] | None:
        """Return who the lead is at *at*, its score, and whether it is an MQL. What is taken later must be later."""
        self.let_pass(at + _SHORTEST)
        self._meet_colleagues(at)
        profile = self._state.profile
        if profile is None:
            return None
        if self.decisions and self.decisions[-1].score.scored_at == at:
            return profile, self.decisions[-1].result, self._state.is_mql
        return profile, self._score(at), self._state.is_mql

    def _keep(self, decision: Decision | None, at: datetime) -> None:
        if decision is not None:
            self.decisions.append(decision)
            self._state.decided_points = decision.score.points
            self._mql = (decision.result, at) if decision.score.is_mql else None
            self._not_before = None

    def _meet_colleagues(self, at: datetime) -> None:
        """Let the state have what colleagues did and was known at *at*, the newest of it."""
        met = self._met
        while met < len(self._colleagues) and self._colleagues[met].known_at <= at:
            met += 1
        if met > self._met:
            self._met = met
            known = self._colleagues[:met]
            self._state.colleagues = sorted(known, key=_when_it_occurred)[-MOST_DEEDS:] if met > MOST_DEEDS else known

    def _can_qualify(self) -> bool:
        """Tell whether colleagues can make the lead an MQL, or it is one: the others are not scored again for them."""
        if self._state.is_mql:
            return True
        return bool(self.decisions) and self.decisions[-1].score.grade in self._model.qualification.grades

    def _score(self, at: datetime) -> ScoreResult:
        profile = self._state.profile
        assert profile is not None, "asked of a lead only"
        return score_lead(self._model, profile.lead, profile.facts, self._state.scored_activities(), at)


def _when_it_occurred(activity: Activity) -> tuple[datetime, str]:
    return activity.occurred_at, activity.activity_id
