"""A replay makes the decisions again that were made, from what was known at each instant and nothing later."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.domain.activity import Activity, submitted_activity_id
from scoring.domain.decision import (
    Decision,
    LeadState,
    Profile,
    mql_ends_at,
    on_activity,
    on_decay,
    on_submission,
)
from scoring.domain.model import ScoringModel
from scoring.domain.replay import Replay, facts_of, replay
from scoring.model_document import default_model_text, parse_model
from shared.contracts import ActivityKind, Facts, Lead, Origin, Seniority

DEFAULT = parse_model(default_model_text())
FAST = parse_model(default_model_text().replace("half_life_days: 14", "half_life_days: 0.5"))
START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
END = START + timedelta(days=60)
MOST = 1000


@dataclass
class Lived:
    """A lead as the handlers decide about it, one event at a time, with a timer that fires when it is due."""

    model: ScoringModel
    state: LeadState = field(default_factory=lambda: LeadState("lead"))
    decisions: list[Decision] = field(default_factory=list)
    profiles: list[tuple[datetime, Profile]] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    timer: datetime | None = None

    def submit(self, profile: Profile, kinds: list[ActivityKind], now: datetime) -> None:
        self.fire_timers(now)
        proven = [
            Activity(
                activity_id=submitted_activity_id(profile.origin.record_id, kind),
                kind=kind,
                occurred_at=profile.origin.received_at,
                known_at=now,
            )
            for kind in kinds
        ]
        self.profiles.append((now, profile))
        self.activities.extend(proven)
        self._decided(on_submission(self.model, "7", self.state, profile, proven, now), now)

    def act(self, activity: Activity) -> None:
        self.fire_timers(activity.known_at)
        self.activities.append(activity)
        self._decided(on_activity(self.model, "7", self.state, activity, activity.known_at), activity.known_at)

    def fire_timers(self, before: datetime) -> None:
        while self.timer is not None and self.timer < before:
            now, self.timer = self.timer, None
            self._decided(on_decay(self.model, "7", self.state, now), now)

    def _decided(self, decision: Decision | None, now: datetime) -> None:
        if decision is not None:
            self.decisions.append(decision)
            self.timer = mql_ends_at(self.model, self.state, decision.result, now)


def make_profile(record: str = "r", at: datetime = START, **values: object) -> Profile:
    origin = Origin(
        submission_id="s", record_id=record, source_key="demo", source_kind="web_form", received_at=at, is_new_lead=True
    )
    return Profile(
        origin=origin,
        lead=Lead(employees=values.get("employees")),  # type: ignore[arg-type]
        facts=Facts(seniority=values.get("seniority", "vp")),  # type: ignore[arg-type]
    )


def make_activity(kind: ActivityKind, known_at: datetime, occurred_at: datetime | None = None) -> Activity:
    return Activity(activity_id=f"{kind}-{known_at}", kind=kind, occurred_at=occurred_at or known_at, known_at=known_at)


def replayed(lived: Lived, model: ScoringModel, at: datetime = END, until: datetime = END) -> Replay | None:
    return replay(model, facts_of(lived.profiles, lived.activities), at=at, until=until, most_activities=MOST)


def as_decided(decisions: list[Decision]) -> list[tuple[object, ...]]:
    return [
        (each.trigger, msgspec.structs.replace(each.score, model_version=""), each.turned_mql, each.result.lines)
        for each in decisions
    ]


@st.composite
def lives(draw: st.DrawFn) -> Lived:
    """A lead that submits and acts at rising instants; what it did is often known late, and sometimes at once."""
    lived = Lived(draw(st.sampled_from([DEFAULT, FAST])))
    now = START
    for number in range(draw(st.integers(1, 12))):
        now += timedelta(seconds=draw(st.sampled_from([1, 60, 3600, 86_400, 4 * 86_400])))
        if draw(st.integers(0, 3)) == 0:
            seniority: Seniority = draw(st.sampled_from(get_args(Seniority)))
            profile = make_profile(
                f"r{number}", now - timedelta(seconds=1), seniority=seniority, employees=draw(st.integers(1, 6000))
            )
            proofs: list[ActivityKind] = ["demo_request", "content_download"]
            kinds = draw(st.lists(st.sampled_from(proofs), unique=True, max_size=2))
            lived.submit(profile, kinds, now)
        else:
            kind = draw(st.sampled_from(get_args(ActivityKind)))
            late = timedelta(seconds=draw(st.sampled_from([-60, 0, 30, 86_400, 10 * 86_400])))
            lived.act(make_activity(kind, now, now - late))
    lived.fire_timers(END)
    return lived


@given(lives())
@settings(max_examples=60, deadline=None)
def test_the_version_that_decided_decides_the_same_again(lived: Lived) -> None:
    again = replayed(lived, lived.model)
    assert as_decided(again.decisions if again else []) == as_decided(lived.decisions)


@given(lives(), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_what_becomes_known_later_changes_nothing_before(lived: Lived, number: int) -> None:
    until = (*(each.score.scored_at for each in lived.decisions), END)[min(number, len(lived.decisions))]
    early = Lived(
        lived.model,
        profiles=[each for each in lived.profiles if each[0] < until],
        activities=[each for each in lived.activities if each.known_at < until],
    )
    at = until - timedelta(microseconds=1)
    assert replayed(early, lived.model, at, until) == replayed(lived, lived.model, at, until)


@given(lives())
@settings(max_examples=40, deadline=None)
def test_the_standing_at_a_decision_is_the_decision(lived: Lived) -> None:
    last = {each.score.scored_at: each for each in lived.decisions}
    standings = {at: replayed(lived, lived.model, at) for at in last}
    assert {at: (each.result, each.is_mql) for at, each in standings.items() if each} == {
        at: (each.result, each.score.is_mql) for at, each in last.items()
    }


def test_decay_ends_an_mql_at_its_instant_in_a_replay_too() -> None:
    lived = Lived(DEFAULT)
    lived.submit(make_profile(), ["demo_request"], START)
    again = replayed(lived, DEFAULT)
    assert again is not None
    assert [(each.trigger, each.turned_mql) for each in again.decisions] == [("submission", True), ("decay", False)]
    assert again.decisions[1].score.scored_at == lived.timer
    assert not again.is_mql


def test_a_faster_half_life_ends_it_sooner() -> None:
    lived = Lived(DEFAULT)
    lived.submit(make_profile(), ["demo_request"], START)
    slow, fast = replayed(lived, DEFAULT), replayed(lived, FAST)
    assert slow is not None
    assert fast is not None
    assert fast.decisions[1].score.scored_at < slow.decisions[1].score.scored_at


def test_an_activity_that_became_known_late_counts_from_then_on_only() -> None:
    lived = Lived(DEFAULT)
    lived.submit(make_profile(), [], START)
    known_at = START + timedelta(days=2)
    lived.act(make_activity("demo_request", known_at, START - timedelta(hours=1)))
    before = replayed(lived, DEFAULT, known_at - timedelta(seconds=1))
    after = replayed(lived, DEFAULT, known_at)
    assert before is not None
    assert after is not None
    assert (before.result.engagement, after.result.engagement > 0) == (0, True)


def test_activities_before_the_lead_is_known_wait_for_it() -> None:
    lived = Lived(DEFAULT)
    lived.act(make_activity("demo_request", START))
    assert replayed(lived, DEFAULT) is None
    lived.submit(make_profile(), [], START + timedelta(hours=1))
    again = replayed(lived, DEFAULT)
    assert again is not None
    assert [each.trigger for each in again.decisions if each.trigger != "decay"] == ["submission"]


def test_of_a_bot_the_newest_activities_are_looked_at() -> None:
    lived = Lived(DEFAULT)
    lived.submit(make_profile(), ["demo_request"], START)
    for number in range(20):
        lived.act(make_activity("website_visit", START + timedelta(seconds=number + 1)))
    facts = facts_of(lived.profiles, lived.activities)
    again = replay(DEFAULT, facts, at=START + timedelta(minutes=1), until=END, most_activities=5)
    assert again is not None
    assert [line.count for line in again.result.lines if line.kind == "signal"] == [5]
