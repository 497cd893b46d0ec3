"""What consent does when a lead arrives, when a person says no, and when time runs out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from consent import metrics
from consent.domain.statements import Mark, relate
from consent.domain.suppression import CHANNELS_OF, hashes_of
from consent.domain.verdict import LeadDecision, decide_lead
from consent.ledger import EXPIRED, LedgerRow, activity_row, submitted_rows, take_in
from consent.repository import ConsentRepository, LeadState
from shared.contracts import ActivityRecorded, ConsentChanged, Lead, LeadCleared, LeadScored, LeadWithheld
from shared.ids import new_id
from shared.runtime import DueTimer, Handlers, Received, TimerHandlers, UnitOfWork
from shared.runtime.metrics import SPEED_TO_LEAD

EXPIRY: Final = "consent_expiry"
BUSY_DELAY: Final = timedelta(milliseconds=100)  # a few batches' time: whoever holds the lead is done by then

_SPEED_TO_CONSENTED: Final = SPEED_TO_LEAD.labels("consented")
_SUPPRESSING: Final = {"unsubscribe", "hard_bounce", "complaint"}

Work = UnitOfWork[ConsentRepository]


async def on_lead_scored(work: Work, batch: Sequence[Received[LeadScored]]) -> None:
    """Record what the submission says, decide, and let the lead through or not."""
    repo, now, live = work.repo, work.now, work.repo.live_table
    lead_ids = list(dict.fromkeys(received.key for received in batch))
    await repo.lock_leads(lead_ids)
    states = await repo.load_states(lead_ids)
    await repo.suppress(_stopped_before(repo, states, batch), now, "leadrail")
    suppressed = await find_suppressed(repo, [received.event for received in batch])
    rows: list[LedgerRow] = []
    decisions: list[tuple[str, LeadDecision]] = []
    for received in batch:
        event, state = received.event, states[received.key]
        said = submitted_rows(event, live.value.inquiry_sources, now)
        rows += said
        state.standing = take_in(state.standing, said)
        state.scored, state.is_fresh_scored = event, True
        was_cleared = state.is_cleared
        decision = decide(work, state, event, suppressed)
        decisions.append((received.key, decision))
        work.emit(outcome_of(event, decision), cause=received)
        if was_cleared and not state.is_cleared:
            # Routing ends assignments on this event only; a withheld lead alone would leave the old owner calling.
            work.emit(lost(state, decision, said), cause=received)
    await repo.add_events(rows)
    await repo.save(list(states.values()), decisions, now)
    _count(batch, rows, decisions, work)


async def on_activity_recorded(work: Work, batch: Sequence[Received[ActivityRecorded]]) -> None:
    """Record withdrawals, objections and relations; suppress addresses that bounced or said no; tell who must know."""
    repo, now = work.repo, work.now
    read = [(received, activity_row(received.event, now)) for received in batch]
    told = [(received, row) for received, row in read if row is not None]
    if not told:
        return
    lead_ids = list(dict.fromkeys(received.key for received, _ in told))
    await repo.lock_leads(lead_ids)
    states = await repo.load_states(lead_ids)
    for received, row in told:
        state = states[received.key]
        state.standing = take_in(state.standing, [row])
        if received.event.kind in _SUPPRESSING and state.scored is None:
            mark = Mark(row.happened_at, row.known_at, row.record_id)
            state.standing = relate(state.standing, "stop_mail", mark)
    await repo.add_events([row for _, row in told])
    await repo.suppress(_stopped(repo, states, told), now, "leadrail")
    was_cleared = {state.lead_id: state.is_cleared for state in states.values()}
    decisions = await decide_again(work, states.values())
    for received, row in told:
        if received.event.kind in _SUPPRESSING:
            work.emit(_told(row, may_contact=states[received.key].is_cleared), cause=received)
    for lead_id, received in {received.key: received for received, _ in told}.items():
        release(work, states[lead_id], was_cleared=was_cleared[lead_id], cause=received)
    await repo.save(list(states.values()), decisions, now)


async def on_expiry_due(work: Work, due: Sequence[DueTimer]) -> None:
    """Decide anew about leads whose permission rests on time; say so where it is gone."""
    repo = work.repo
    free = await repo.try_lock_leads([timer.key for timer in due])
    for timer in due:
        if timer.key not in free:
            work.set_timer(EXPIRY, timer.key, work.now + BUSY_DELAY, timer.payload)
    states = await repo.load_states(sorted(free))
    was_cleared = {state.lead_id: state.is_cleared for state in states.values()}
    decisions = await decide_again(work, states.values())
    rows = []
    for state in states.values():
        if not was_cleared[state.lead_id] or state.is_cleared or state.decision is None:
            continue
        row = LedgerRow(
            lead_id=state.lead_id,
            record_id=state.decision.decision_id,
            state=EXPIRED,
            purposes=(state.decision.purpose,),
            channels=tuple(state.decision.channels),
            happened_at=work.now,
            known_at=work.now,
            method="clock",
            actor="leadrail",
        )
        rows.append(row)
        work.emit(changed(row, EXPIRED, may_contact=False))
    await repo.add_events(rows)
    await repo.save(list(states.values()), decisions, work.now)


async def decide_again(work: Work, states: Iterable[LeadState]) -> list[tuple[str, LeadDecision]]:
    """Decide about the leads that are known, with what is known now; return (lead_id, decision) pairs."""
    known = [state for state in states if state.scored is not None]
    suppressed = await find_suppressed(work.repo, [state.scored for state in known if state.scored is not None])
    return [
        (state.lead_id, decide(work, state, state.scored, suppressed)) for state in known if state.scored is not None
    ]


def decide(work: Work, state: LeadState, event: LeadScored, suppressed: dict[bytes, frozenset[str]]) -> LeadDecision:
    """Decide about one lead, remember it in *state*, and set the timer that ends a permission resting on time."""
    live = work.repo.live_table
    blocked = frozenset[str]().union(
        *(suppressed.get(digest, frozenset()) for digest in hashes_of(work.repo.pepper, event.lead))
    )
    decision = decide_lead(
        live.value,
        live.version,
        state.standing,
        blocked,
        lead=event.lead,
        facts=event.facts,
        at=work.now,
        decision_id=new_id(),
    )
    had_timer = state.is_cleared
    state.decision, state.is_cleared = decision, bool(decision.allowed_channels)
    expires_at = decision.expires_at
    if expires_at is not None:
        work.set_timer(EXPIRY, state.lead_id, expires_at, {})
    elif had_timer:
        work.cancel_timer(EXPIRY, state.lead_id)
    return decision


def release(
    work: Work, state: LeadState, *, was_cleared: bool, cause: Received[ActivityRecorded] | None = None
) -> None:
    """Send a lead on that was withheld and may be contacted now."""
    if state.is_cleared and not was_cleared and state.scored is not None and state.decision is not None:
        work.emit(outcome_of(state.scored, state.decision), cause=cause)


def lost(state: LeadState, decision: LeadDecision, said: Sequence[LedgerRow] = ()) -> ConsentChanged:
    """Return the event that tells routing to stop: contact was allowed and is not any more."""
    no = next((row for row in said if row.state in {"withdrawn", "objected", "refused"}), None)
    return ConsentChanged(
        lead_id=state.lead_id,
        record_id=no.record_id if no is not None else decision.decision_id,
        state="objected" if no is not None and no.state == "objected" else "withdrawn",
        purposes=(decision.purpose,),
        channels=tuple(decision.channels),
        changed_at=decision.decided_at,
        may_contact=False,
        method=no.method if no is not None else decision.verdict().reason,
    )


def outcome_of(event: LeadScored, decision: LeadDecision) -> LeadCleared | LeadWithheld:
    """Return the event that sends a lead on or stops it."""
    verdict = decision.verdict()
    if not verdict.channels:
        return LeadWithheld(
            lead_id=event.lead_id, origin=event.origin, score=event.score, verdict=verdict, trigger=event.trigger
        )
    return LeadCleared(
        lead_id=event.lead_id,
        origin=event.origin,
        lead=event.lead,
        facts=event.facts,
        score=event.score,
        verdict=verdict,
        trigger=event.trigger,
    )


def changed(row: LedgerRow, state: Any, *, may_contact: bool) -> ConsentChanged:
    """Return the event that tells other services of a ledger row."""
    return ConsentChanged(
        lead_id=row.lead_id,
        record_id=row.record_id,
        state=state,
        purposes=row.purposes,
        channels=row.channels,
        changed_at=row.known_at,
        may_contact=may_contact,
        method=row.method,
    )


async def find_suppressed(repo: ConsentRepository, events: Sequence[LeadScored]) -> dict[bytes, frozenset[str]]:
    """Return the suppressed channels by hash, for all addresses of *events* in one query."""
    hashes = {digest for event in events for digest in hashes_of(repo.pepper, event.lead)}
    return await repo.find_suppressed(sorted(hashes))


def _stopped(
    repo: ConsentRepository,
    states: dict[str, LeadState],
    told: Sequence[tuple[Received[ActivityRecorded], LedgerRow]],
) -> list[tuple[bytes, Sequence[str], str]]:
    return [
        (digest, CHANNELS_OF["email"], received.event.kind)
        for received, _ in told
        if received.event.kind in _SUPPRESSING
        for digest in _email_hash(repo, states[received.key].scored)
    ]


def _stopped_before(
    repo: ConsentRepository, states: dict[str, LeadState], batch: Sequence[Received[LeadScored]]
) -> list[tuple[bytes, Sequence[str], str]]:
    """Return the addresses of leads that had mail stopped before we knew the lead, and so its address."""
    return [
        (digest, CHANNELS_OF["email"], "stopped_before_known")
        for received in batch
        if states[received.key].scored is None and "stop_mail" in states[received.key].standing.relations
        for digest in _email_hash(repo, received.event)
    ]


def _email_hash(repo: ConsentRepository, event: LeadScored | None) -> list[bytes]:
    return hashes_of(repo.pepper, Lead(email=event.lead.email)) if event is not None else []


def _told(row: LedgerRow, *, may_contact: bool) -> ConsentChanged:
    """Return the change; mail that came back is told as a withdrawal of the e-mail channel."""
    if row.state in {"withdrawn", "objected"}:
        return changed(row, row.state, may_contact=may_contact)
    bounced = msgspec.structs.replace(
        row, purposes=("marketing", "sales_contact"), channels=("email",), method="hard_bounce"
    )
    return changed(bounced, "withdrawn", may_contact=may_contact)


def _count(
    batch: Sequence[Received[LeadScored]],
    rows: Sequence[LedgerRow],
    decisions: Sequence[tuple[str, LeadDecision]],
    work: Work,
) -> None:
    outcomes = Counter(
        ("cleared" if verdict.channels else "withheld", verdict.reason, verdict.jurisdiction)
        for verdict in (decision.verdict() for _, decision in decisions)
    )
    for labels, count in outcomes.items():
        metrics.DECISIONS.labels(*labels).inc(count)
    for state, count in Counter(row.state for row in rows).items():
        metrics.EVENTS.labels(state).inc(count)
    for received in batch:
        if received.event.trigger == "submission":
            _SPEED_TO_CONSENTED.observe(max(0.0, (work.now - received.event.origin.received_at).total_seconds()))


HANDLERS: Handlers[ConsentRepository] = {LeadScored: on_lead_scored, ActivityRecorded: on_activity_recorded}
TIMERS: TimerHandlers[ConsentRepository] = {EXPIRY: on_expiry_due}
