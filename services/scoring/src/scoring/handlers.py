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
    on_colleague,
    on_decay,
    on_submission,
)
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.outcomes.outcome import OUTCOME_KINDS
from scoring.prediction.deciding import predict_leads
from scoring.repository import ScoringRepository
from scoring.roll_up import ACCOUNT_RESCORE, facts_of, load_colleagues, wake_after_submission, wake_colleagues
from shared.contracts import ActivityRecorded, LeadEnriched, LeadQualified, LeadScored
from shared.runtime import DueTimer, Handlers, Received, TimerHandlers, UnitOfWork
from shared.runtime.metrics import SPEED_TO_LEAD

MQL_DECAY: Final = "mql_decay"
BUSY_DELAY: Final = timedelta(milliseconds=100)  # a few batches' time: whoever holds the lead is done by then

# Of 100 leads each, all locked until the transaction ends: the database has room for some thousand locks.
MOST_ACCOUNTS: Final = 5

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
    await load_colleagues(work, live.value, states, {each.event.lead_id: each.event.facts for each in batch})
    was_mql = {lead_id: state.is_mql for lead_id, state in states.items()}
    decisions = []
    for received, done in zip(batch, submitted, strict=True):
        event, state = received.event, states[received.event.lead_id]
        new, before = _take_fresh(fresh, event.lead_id, done), state.profile
        profile = Profile(origin=event.origin, lead=event.lead, facts=event.facts, has_gpc=event.has_gpc)
        decision = on_submission(live.value, live.version, state, profile, new, now)
        decisions.append(decision)
        wake_after_submission(work, live.value, state, before, new)
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
    await _save(work, decisions, live.version, states)
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
    await load_colleagues(work, live.value, states, facts_of(states))
    was_mql = {lead_id: state.is_mql for lead_id, state in states.items()}
    decisions = []
    for received, activity in zip(batch, done, strict=True):
        lead_id = received.event.lead_id
        state = states[lead_id]
        if not _take_fresh(fresh, lead_id, [activity]):
            metrics.ACTIVITIES.labels("duplicate").inc()
            continue
        wake_colleagues(work, live.value, state.profile, [activity])
        decision = on_activity(live.value, live.version, state, activity, now)
        if decision is None:
            metrics.ACTIVITIES.labels("early" if state.profile is None else "kept").inc()
            continue
        metrics.ACTIVITIES.labels("scored").inc()
        decisions.append(decision)
        work.emit(_scored_again(decision), cause=received)
        _emit_crossing(work, decision, received)
    await _save(work, decisions, live.version, states)
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
    await load_colleagues(work, live.value, states, facts_of(states))
    decisions = []
    for state in states.values():
        decision = on_decay(live.value, live.version, state, now)
        if decision is not None:
            decisions.append(decision)
            _emit_crossing(work, decision, None)
        else:
            _look_again(work, live.value, state)
    await _save(work, decisions, live.version, states)
    _count(decisions, now)


async def on_account_rescore_due(work: Work, due: Sequence[DueTimer]) -> None:
    """Score the leads of each account again, because one of them acted.

    Others act on a score that makes an MQL: only that is published. LeadScored for every page view of a colleague
    would have routing say of each owned lead that it came back, which it did not.
    """
    now, live = work.now, work.repo.live_model
    if not live.value.has_account:
        return
    for timer in due[MOST_ACCOUNTS:]:
        work.set_timer(ACCOUNT_RESCORE, timer.key, timer.due_at, timer.payload)
    accounts = [timer.key for timer in due[:MOST_ACCOUNTS]]
    members = await work.repo.accounts.list_members(accounts, live.value.qualification.grades)
    free = await work.repo.try_lock_leads([lead_id for each in members.values() for lead_id in each])
    for account, lead_ids in members.items():
        if not free.issuperset(lead_ids):
            work.set_timer(ACCOUNT_RESCORE, account, now + BUSY_DELAY, {})
    states = await work.repo.load_states(sorted(free))
    await load_colleagues(work, live.value, states, facts_of(states))
    was_mql = {lead_id: state.is_mql for lead_id, state in states.items()}
    decisions = []
    for state in states.values():
        decision = on_colleague(live.value, live.version, state, now)
        if decision is not None:
            decisions.append(decision)
            if decision.turned_mql:
                work.emit(_scored_again(decision))
            _emit_crossing(work, decision, None)
    await _save(work, decisions, live.version, states)
    _set_timers(work, live.value, states, was_mql, decisions)
    _count(decisions, now)


async def _save(work: Work, decisions: Sequence[Decision], version: str, states: dict[str, LeadState]) -> None:
    """Save the decisions, each lead's last with what is predicted of the lead, if a predictive model is live."""
    predicted = predict_leads(
        await work.repo.find_live_prediction(), states, [decision.lead_id for decision in decisions], work.now
    )
    await work.repo.save_decisions(decisions, version, work.now, predicted)


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
            if activity.kind in OUTCOME_KINDS:
                metrics.OUTCOMES.labels(activity.kind).inc()
    return taken


def _scored_again(decision: Decision) -> LeadScored:
    """Return what others get to know of a score that no submission made."""
    profile = decision.profile
    return LeadScored(
        lead_id=decision.lead_id,
        origin=profile.origin,
        lead=profile.lead,
        facts=profile.facts,
        score=decision.score,
        trigger="activity",
        has_gpc=profile.has_gpc,
    )


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
    result = score_lead(model, state.profile.lead, state.profile.facts, state.scored_activities(), work.now)
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
TIMERS: TimerHandlers[ScoringRepository] = {
    MQL_DECAY: on_mql_decay_due,
    ACCOUNT_RESCORE: on_account_rescore_due,
}
