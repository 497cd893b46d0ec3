"""What scoring does when something happens to a lead, and when a timer says that decay has done enough."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from scoring import metrics
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
from scoring.domain.score import score_lead
from scoring.repository import ScoringRepository
from shared.contracts import ActivityRecorded, LeadEnriched, LeadQualified, LeadScored
from shared.runtime import DueTimer, Handlers, Received, TimerHandlers, UnitOfWork
from shared.runtime.metrics import SPEED_TO_LEAD

MQL_DECAY: Final = "mql_decay"
BUSY_DELAY: Final = timedelta(milliseconds=100)  # a few batches' time: whoever holds the lead is done by then

_SPEED_TO_SCORED: Final = SPEED_TO_LEAD.labels("scored")

Work = UnitOfWork[ScoringRepository]


async def on_lead_enriched(work: Work, batch: Sequence[Received[LeadEnriched]]) -> None:
    """Score each submission, with everything known of its lead."""
    now, live = work.now, work.repo.live_model
    lead_ids = {received.event.lead_id for received in batch}
    await work.repo.lock_leads(list(lead_ids))
    submitted = [_submitted_activities(received.event, now) for received in batch]
    states, fresh = await work.repo.add_activities(
        list(lead_ids),
        [(received.event.lead_id, each) for received, done in zip(batch, submitted, strict=True) for each in done],
    )
    was_mql = {lead_id: state.is_mql for lead_id, state in states.items()}
    decisions = []
    for received, done in zip(batch, submitted, strict=True):
        event = received.event
        new = _take_fresh(fresh, event.lead_id, done)
        profile = Profile(origin=event.origin, lead=event.lead, facts=event.facts, has_gpc=event.has_gpc)
        decision = on_submission(live.value, live.version, states[event.lead_id], profile, new, now)
        decisions.append(decision)
        work.emit(
            LeadScored(
                lead_id=event.lead_id,
                origin=event.origin,
                lead=event.lead,
                facts=event.facts,
                score=decision.score,
                trigger="submission",
                consent=event.consent,
                has_gpc=event.has_gpc,
            ),
            cause=received,
        )
        _emit_crossing(work, decision, received)
    await work.repo.save_decisions(decisions, live.version, now)
    _set_timers(work, live.value, states, was_mql, decisions)
    _count(decisions, now)


async def on_activity_recorded(work: Work, batch: Sequence[Received[ActivityRecorded]]) -> None:
    """Keep each activity; score its lead again if the lead is known and the model counts such activities."""
    now, live = work.now, work.repo.live_model
    lead_ids = {received.event.lead_id for received in batch}
    await work.repo.lock_leads(list(lead_ids))
    done = [_recorded_activity(received.event, now) for received in batch]
    states, fresh = await work.repo.add_activities(
        list(lead_ids), [(received.event.lead_id, activity) for received, activity in zip(batch, done, strict=True)]
    )
    was_mql = {lead_id: state.is_mql for lead_id, state in states.items()}
    decisions = []
    for received, activity in zip(batch, done, strict=True):
        lead_id = received.event.lead_id
        state = states[lead_id]
        if not _take_fresh(fresh, lead_id, [activity]):
            metrics.ACTIVITIES.labels("duplicate").inc()
            continue
        decision = on_activity(live.value, live.version, state, activity, now)
        if decision is None:
            metrics.ACTIVITIES.labels("early" if state.profile is None else "kept").inc()
            continue
        metrics.ACTIVITIES.labels("scored").inc()
        decisions.append(decision)
        work.emit(
            LeadScored(
                lead_id=lead_id,
                origin=decision.profile.origin,
                lead=decision.profile.lead,
                facts=decision.profile.facts,
                score=decision.score,
                trigger="activity",
                has_gpc=decision.profile.has_gpc,
            ),
            cause=received,
        )
        _emit_crossing(work, decision, received)
    await work.repo.save_decisions(decisions, live.version, now)
    _set_timers(work, live.value, states, was_mql, decisions)
    _count(decisions, now)


async def on_mql_decay_due(work: Work, due: Sequence[DueTimer]) -> None:
    """Say of each lead that decay took below the limit that it is no MQL any more; look at the others again later."""
    now, live = work.now, work.repo.live_model
    free = await work.repo.try_lock_leads([timer.key for timer in due])
    for timer in due:
        if timer.key not in free:
            work.set_timer(MQL_DECAY, timer.key, now + BUSY_DELAY, timer.payload)
    states = await work.repo.load_states(sorted(free))
    decisions = []
    for state in states.values():
        decision = on_decay(live.value, live.version, state, now)
        if decision is not None:
            decisions.append(decision)
            _emit_crossing(work, decision, None)
        else:
            _look_again(work, live.value, state)
    await work.repo.save_decisions(decisions, live.version, now)
    _count(decisions, now)


def _submitted_activities(event: LeadEnriched, now: datetime) -> list[Activity]:
    """Return what the submission itself proves the lead did; its id follows from the record, so a replay finds it."""
    origin = event.origin
    return [
        Activity(
            activity_id=submitted_activity_id(origin.record_id, kind),
            kind=kind,
            occurred_at=origin.received_at,
            known_at=now,
        )
        for kind in event.activities
    ]


def _recorded_activity(event: ActivityRecorded, now: datetime) -> Activity:
    return Activity(
        activity_id=event.activity_id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        known_at=now,
        detail=event.detail,
    )


def _take_fresh(fresh: set[tuple[str, str]], lead_id: str, activities: Sequence[Activity]) -> list[Activity]:
    """Return those of *activities* that are new, and take them from *fresh*: the same one later in a batch is not."""
    taken = []
    for activity in activities:
        if (lead_id, activity.activity_id) in fresh:
            fresh.discard((lead_id, activity.activity_id))
            taken.append(activity)
    return taken


def _emit_crossing(
    work: Work, decision: Decision, cause: Received[LeadEnriched] | Received[ActivityRecorded] | None
) -> None:
    if decision.turned_mql is not None:
        work.emit(
            LeadQualified(lead_id=decision.lead_id, is_mql=decision.turned_mql, score=decision.score), cause=cause
        )


def _set_timers(
    work: Work,
    model: ScoringModel,
    states: dict[str, LeadState],
    was_mql: dict[str, bool],
    decisions: Sequence[Decision],
) -> None:
    """Have decay end the MQL state of each lead at its instant, as of the lead's last decision in this batch."""
    for lead_id, decision in {decision.lead_id: decision for decision in decisions}.items():
        ends_at = mql_ends_at(model, states[lead_id], decision.result, work.now)
        if ends_at is not None:
            work.set_timer(MQL_DECAY, lead_id, ends_at, {})
        elif was_mql[lead_id]:
            work.cancel_timer(MQL_DECAY, lead_id)


def _look_again(work: Work, model: ScoringModel, state: LeadState) -> None:
    """Move a timer that came early, because an activity or another model version moved the crossing."""
    if state.profile is None or not state.is_mql:
        return
    result = score_lead(model, state.profile.lead, state.profile.facts, state.activities, work.now)
    ends_at = mql_ends_at(model, state, result, work.now)
    if ends_at is not None:
        work.set_timer(MQL_DECAY, state.lead_id, max(ends_at, work.now + BUSY_DELAY), {})


def _count(decisions: Sequence[Decision], now: datetime) -> None:
    for (trigger, grade), count in Counter((each.trigger, each.score.grade) for each in decisions).items():
        metrics.SCORES_DECIDED.labels(trigger, grade).inc(count)
    for decision in decisions:
        if decision.turned_mql is not None:
            metrics.MQL_CHANGES.labels("entered" if decision.turned_mql else "left", decision.trigger).inc()
        if decision.trigger == "submission":
            metrics.SCORE_POINTS.observe(decision.score.points)
            _SPEED_TO_SCORED.observe(max(0.0, (now - decision.profile.origin.received_at).total_seconds()))


HANDLERS: Handlers[ScoringRepository] = {LeadEnriched: on_lead_enriched, ActivityRecorded: on_activity_recorded}
TIMERS: TimerHandlers[ScoringRepository] = {MQL_DECAY: on_mql_decay_due}
