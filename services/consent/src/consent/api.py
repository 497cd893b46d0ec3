"""HTTP routes: what a lead said, may we contact it and why, and the suppression list."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Path, Query
from pydantic import AwareDatetime

from consent import metrics
from consent.domain.statements import is_preticked
from consent.domain.suppression import hashes_of
from consent.domain.verdict import decide_lead
from consent.handlers import changed, decide_again, release
from consent.ledger import LedgerRow, take_in
from consent.questions_api import add_question_routes
from consent.repository import ConsentRepository, LeadState
from consent.stopping import Work
from consent.suppression_api import add_suppression_routes
from consent.views import (
    ChannelView,
    DecisionView,
    GrantRequest,
    LeadConsentView,
    LedgerEntry,
    StatementAnswer,
    StatementRequest,
)
from shared.http import Principal, Problem, require_scope
from shared.ids import new_id
from shared.runtime import Runtime

LeadId = Annotated[UUID, Path(description="The lead.")]
IdempotencyKey = Annotated[str | None, Header(max_length=200, description="The same key twice is one statement.")]
Instant = Annotated[
    AwareDatetime | None, Query(description="An instant; an earlier one is answered from what was said by then.")
]
Writer = Annotated[Principal, require_scope("consent:write")]
CLOCK_SKEW = timedelta(seconds=60)  # another machine's clock may be a little ahead of ours
LEDGER_SHOWN = 200


def build_router(runtime: Runtime[ConsentRepository]) -> APIRouter:
    """Return the routes of this service."""
    router = APIRouter(tags=["consent"])
    _add_statements(router, runtime)
    add_question_routes(router, runtime)
    add_suppression_routes(router, runtime)
    return router


def _add_statements(router: APIRouter, runtime: Runtime[ConsentRepository]) -> None:
    base = "/v1/leads/{lead_id}/consent"

    @router.post(f"{base}/grants", status_code=201)
    async def grant(
        lead_id: LeadId, body: GrantRequest, principal: Writer, idempotency_key: IdempotencyKey = None
    ) -> StatementAnswer:
        """Record a grant with its proof. A lead that was withheld for want of it goes on to routing."""
        async with runtime.work() as work:
            return await _record(work, str(lead_id), "given", body, principal, idempotency_key)

    @router.post(f"{base}/withdrawals", status_code=201)
    async def withdraw(
        lead_id: LeadId, body: StatementRequest, principal: Writer, idempotency_key: IdempotencyKey = None
    ) -> StatementAnswer:
        """Record a withdrawal, effective at once: an assignment of this lead ends."""
        async with runtime.work() as work:
            return await _record(work, str(lead_id), "withdrawn", body, principal, idempotency_key)

    @router.post(f"{base}/objections", status_code=201)
    async def object_to(
        lead_id: LeadId, body: StatementRequest, principal: Writer, idempotency_key: IdempotencyKey = None
    ) -> StatementAnswer:
        """Record an objection, effective at once."""
        async with runtime.work() as work:
            return await _record(work, str(lead_id), "objected", body, principal, idempotency_key)

    @router.get(base, dependencies=[require_scope("leads:read")])
    async def get_consent(lead_id: LeadId, at: Instant = None) -> LeadConsentView:
        """Return what may be done now, the last decision with its trace, and the ledger.

        With an earlier *at*: what could have been done then, from what had been said by then, under the rules in force
        now; the last decision by then, made with the rules of its time.
        """
        key, now = str(lead_id), runtime.clock.now()
        past = at if at is not None and at < now else None
        async with runtime.read() as repo:
            state = (await repo.load_states([key]))[key]
            if state.scored is None and not await repo.list_events(key, 1):
                raise Problem(404, "lead_not_found", "No such lead")
            channels = await _channels_at(repo, state, at or now, past)
            last = await repo.find_latest_decision(key, at=past)
            rows = await repo.list_events(key, LEDGER_SHOWN, at=past)
        return LeadConsentView(
            lead_id=key,
            at=at or now,
            may_contact=any(one.allowed for one in channels),
            now=channels,
            last_decision=DecisionView.of(last) if last else None,
            ledger=[LedgerEntry.of(row) for row in rows],
        )


async def _channels_at(
    repo: ConsentRepository, state: LeadState, at: datetime, past: datetime | None
) -> list[ChannelView]:
    if state.scored is None:
        return []
    suppressed = await repo.find_suppressed(hashes_of(repo.pepper, state.scored.lead))
    ledgers = await repo.load_ledgers([state.lead_id] if past else [])
    decision = decide_lead(
        repo.live_table.value,
        repo.live_table.version,
        ledgers[state.lead_id].standing(past) if past else state.standing,
        suppressed.channels(hashes_of(repo.pepper, state.scored.lead), at=past),
        lead=state.scored.lead,
        facts=state.scored.facts,
        at=at,
        decision_id="",
    )
    return [ChannelView.of(channel, one) for channel, one in decision.channels.items()]


async def _record(
    work: Work,
    lead_id: str,
    kind: Literal["given", "withdrawn", "objected"],
    body: StatementRequest,
    principal: Principal,
    idempotency_key: str | None,
) -> StatementAnswer:
    row = _row(work.now, lead_id, kind, body, principal, idempotency_key)
    repo = work.repo
    await repo.lock_leads([lead_id])
    state = (await repo.load_states([lead_id]))[lead_id]
    earlier = await repo.find_event(lead_id, row.record_id) if idempotency_key is not None else None
    if earlier is not None:
        if not _says_the_same(earlier, row, body):
            raise Problem(422, "idempotency_conflict", "This Idempotency-Key was used with another body")
        return StatementAnswer(record_id=row.record_id, duplicate=True, may_contact=state.is_cleared)
    if kind == "given" and state.scored is None and not await repo.list_events(lead_id, 1):
        raise Problem(404, "lead_not_found", "No such lead")  # a "no" is taken all the same: it must never be lost
    was_cleared = state.is_cleared
    state.standing = take_in(state.standing, [row])
    await repo.add_events([row])
    decisions = await decide_again(work, [state])
    work.emit(changed(row, may_contact=state.is_cleared))
    release(work, state, was_cleared=was_cleared)
    await repo.save([state], decisions, work.now)
    work.audit(
        actor=principal.client_id,
        action=f"consent.{kind}",
        subject=lead_id,
        after={"record_id": row.record_id, "purposes": row.purposes, "channels": row.channels},
        why=body.why,
    )
    metrics.EVENTS.labels(kind).inc()
    return StatementAnswer(record_id=row.record_id, duplicate=False, may_contact=state.is_cleared)


def _says_the_same(earlier: LedgerRow, row: LedgerRow, body: StatementRequest) -> bool:
    """Tell whether a repeated request is the same statement; an instant that was left out was "now" both times."""
    happened_at = min(body.happened_at or earlier.known_at, earlier.known_at)
    same: bool = msgspec.structs.replace(row, known_at=earlier.known_at, happened_at=happened_at) == earlier
    return same


def _row(
    now: datetime,
    lead_id: str,
    kind: Literal["given", "withdrawn", "objected"],
    body: StatementRequest,
    principal: Principal,
    idempotency_key: str | None,
) -> LedgerRow:
    happened_at = body.happened_at or now
    if happened_at > now + CLOCK_SKEW:
        raise Problem(
            422,
            "in_the_future",
            "Nobody can have said this yet",
            errors=[{"pointer": "/happened_at", "detail": "is in the future"}],
        )
    proof = body if isinstance(body, GrantRequest) else None
    if proof is not None and is_preticked(proof.method):
        raise Problem(
            422,
            "no_proof",
            "A box that was ticked for the person is no consent",
            errors=[{"pointer": "/method", "detail": "names a pre-ticked box"}],
        )
    return LedgerRow(
        lead_id=lead_id,
        record_id=f"key:{principal.client_id}:{idempotency_key}" if idempotency_key else new_id(),
        state=kind,
        purposes=tuple(dict.fromkeys(body.purposes)),
        channels=tuple(dict.fromkeys(body.channels)),
        happened_at=min(happened_at, now),
        known_at=now,
        method=body.method,
        actor=f"client:{principal.client_id}",
        lawful_basis=proof.lawful_basis if proof else "consent",
        notice_version=proof.notice_version if proof else None,
        text_shown=proof.text_shown if proof else None,
        is_double_opt_in=proof.is_double_opt_in if proof else False,
    )
