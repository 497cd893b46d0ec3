"""What consent does when a lead arrives, when a person says no, and when time runs out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from consent import metrics
from consent.domain.statements import NOES
from consent.domain.suppression import hashes_of
from consent.domain.verdict import LeadDecision, decide_lead
from consent.ledger import EXPIRED, LedgerRow, activity_row, submitted_rows, take_in
from consent.repository import ConsentRepository, LeadState, Suppressed
from consent.stopping import SUPPRESSED, SUPPRESSING, Work, remember_stop, stop_addresses, stops_before_known, stops_of
from shared.contracts import ActivityRecorded, ConsentChanged, LeadCleared, LeadScored, LeadWithheld
from shared.ids import new_id
from shared.runtime import DueTimer, Handlers, Received, TimerHandlers
from shared.runtime.metrics import SPEED_TO_LEAD

EXPIRY: Final = "consent_expiry"
BUSY_DELAY: Final = timedelta(milliseconds=100)  # a few batches' time: whoever holds the lead is done by then

ChangedState = Literal["given", "refused", "withdrawn", "objected", "expired"]

_SPEED_TO_CONSENTED: Final = SPEED_TO_LEAD.labels("consented")


async def on_lead_scored(work: Work, batch: Sequence[Received[LeadScored]]) -> None:
    """Record what the submission says, decide, and let the lead through or not."""
    repo, now, live = work.repo, work.now, work.repo.live_table
    lead_ids = list(dict.fromkeys(received.key for received in batch))
    hashes = {digest for received in batch for digest in hashes_of(repo.pepper, received.event.lead)}
    await repo.lock_leads(lead_ids, hashes)
    states = await repo.load_states(lead_ids)
    await stop_addresses(work, stops_before_known(repo, states, batch), "leadrail")
    suppressed = await repo.find_suppressed(hashes)
    rows: list[LedgerRow] = []
    lost: dict[str, tuple[Received[LeadScored], LedgerRow]] = {}
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
        if is_lost(state, was_cleared=was_cleared):
            lost[received.key] = received, next((row for row in said if row.state in NOES), ending(state))
        elif state.is_cleared:
            lost.pop(received.key, None)  # regained within the batch: a block of the same instant would outlive it
    for received, row in lost.values():
        # Routing ends assignments on this event only; a withheld lead alone would leave the old owner calling.
        work.emit(changed(row, may_contact=False), cause=received)
    await repo.add_events([*rows, *(row for _, row in lost.values() if row.state == EXPIRED)])
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
        if received.event.kind in SUPPRESSING and state.scored is None:
            state.standing = remember_stop(state.standing, row)
    await stop_addresses(work, stops_of(repo, states, told), "leadrail")
    was_cleared = {state.lead_id: state.is_cleared for state in states.values()}
    decisions = await decide_again(work, states.values())
    rows = [row for _, row in told]
    for received, row in told:
        if received.event.kind in SUPPRESSING:
            work.emit(_told(row, may_contact=states[received.key].is_cleared), cause=received)
    by_lead = {received.key: received for received, _ in told}
    has_no = {received.key for received, _ in told if received.event.kind in SUPPRESSING}
    for lead_id, received in by_lead.items():
        state = states[lead_id]
        release(work, state, was_cleared=was_cleared[lead_id], cause=received)
        if is_lost(state, was_cleared=was_cleared[lead_id]) and lead_id not in has_no:
            rows.append(ending(state))
            work.emit(changed(rows[-1], may_contact=False), cause=received)
    await repo.add_events(rows)
    await repo.save(list(states.values()), decisions, now)
    _count_rows(rows)


async def on_expiry_due(work: Work, due: Sequence[DueTimer]) -> None:
    """Decide anew about leads whose permission rests on time; say so where it is gone."""
    repo = work.repo
    free = await repo.try_lock_leads([timer.key for timer in due])
    for timer in due:
        if timer.key not in free:
            work.set_timer(EXPIRY, timer.key, work.now + BUSY_DELAY, timer.payload)
    await _end_where_gone(work, sorted(free))


async def on_suppression_due(work: Work, due: Sequence[DueTimer]) -> None:
    """Decide anew about the leads whose address was put on the suppression list; say so where contact is gone."""
    leads_at = await work.repo.find_leads_at([bytes.fromhex(timer.key) for timer in due])
    free = await work.repo.try_lock_leads(sorted({lead_id for found in leads_at.values() for lead_id in found}))
    for timer in due:
        if not free.issuperset(leads_at.get(bytes.fromhex(timer.key), ())):
            work.set_timer(SUPPRESSED, timer.key, work.now + BUSY_DELAY, timer.payload)
    await _end_where_gone(work, sorted(free))


async def _end_where_gone(work: Work, lead_ids: Sequence[str]) -> None:
    states = [state for state in (await work.repo.load_states(lead_ids)).values() if state.is_cleared]
    decisions = await decide_again(work, states)
    rows = [ending(state) for state in states if is_lost(state, was_cleared=True)]
    for row in rows:
        work.emit(changed(row, may_contact=False))
    await work.repo.add_events(rows)
    await work.repo.save(states, decisions, work.now)
    _count_rows(rows)


async def decide_again(work: Work, states: Iterable[LeadState]) -> list[tuple[str, LeadDecision]]:
    """Decide about the leads that are known, with what is known now; return (lead_id, decision) pairs."""
    known = [(state, state.scored) for state in states if state.scored is not None]
    hashes = {digest for _, scored in known for digest in hashes_of(work.repo.pepper, scored.lead)}
    suppressed = await work.repo.find_suppressed(hashes)
    return [(state.lead_id, decide(work, state, scored, suppressed)) for state, scored in known]


def decide(work: Work, state: LeadState, event: LeadScored, suppressed: Suppressed) -> LeadDecision:
    """Decide about one lead, remember it in *state*, and set the timer that ends a permission resting on time."""
    live = work.repo.live_table
    decision = decide_lead(
        live.value,
        live.version,
        state.standing,
        suppressed.channels(hashes_of(work.repo.pepper, event.lead)),
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


def is_lost(state: LeadState, *, was_cleared: bool) -> bool:
    """Tell whether contact with a lead was allowed and is not any more."""
    return was_cleared and not state.is_cleared


def ending(state: LeadState) -> LedgerRow:
    """Return the ledger row of a permission that ended without a word of the person: time, rules or suppression."""
    decision = state.decision
    assert decision is not None, "a permission ends by a decision"
    return LedgerRow(
        lead_id=state.lead_id,
        record_id=decision.decision_id,
        state=EXPIRED,
        purposes=(decision.purpose,),
        channels=tuple(decision.channels),
        happened_at=decision.decided_at,
        known_at=decision.decided_at,
        method=decision.verdict().reason,
        actor="leadrail",
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


def changed(row: LedgerRow, *, may_contact: bool) -> ConsentChanged:
    """Return the event that tells other services of a ledger row."""
    return ConsentChanged(
        lead_id=row.lead_id,
        record_id=row.record_id,
        state=msgspec.convert(row.state, ChangedState),
        purposes=row.purposes,
        channels=row.channels,
        changed_at=row.known_at,
        may_contact=may_contact,
        method=row.method,
    )


def _told(row: LedgerRow, *, may_contact: bool) -> ConsentChanged:
    """Return the change; mail that came back is told as a withdrawal of the e-mail channel."""
    if row.state == "stop_mail":
        row = msgspec.structs.replace(
            row, state="withdrawn", purposes=("marketing", "sales_contact"), channels=("email",), method="hard_bounce"
        )
    return changed(row, may_contact=may_contact)


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
    _count_rows(rows)
    for received in batch:
        if received.event.trigger == "submission":
            _SPEED_TO_CONSENTED.observe(max(0.0, (work.now - received.event.origin.received_at).total_seconds()))


def _count_rows(rows: Sequence[LedgerRow]) -> None:
    for state, count in Counter(row.state for row in rows).items():
        metrics.EVENTS.labels(state).inc(count)


HANDLERS: Handlers[ConsentRepository] = {LeadScored: on_lead_scored, ActivityRecorded: on_activity_recorded}
TIMERS: TimerHandlers[ConsentRepository] = {
    EXPIRY: on_expiry_due,
    SUPPRESSED: on_suppression_due,
}
