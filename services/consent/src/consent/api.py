"""HTTP routes: what a lead said, may we contact it and why, and the suppression list."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Path, Query
from pydantic import AwareDatetime

from consent import metrics
from consent.domain.decide import Decision, Question
from consent.domain.decide import decide as decide_question
from consent.domain.jurisdictions import jurisdiction_of
from consent.domain.statements import Standing
from consent.domain.suppression import hashes_of
from consent.domain.verdict import decide_lead
from consent.handlers import Work, changed, decide_again, find_suppressed, release
from consent.ledger import LedgerRow, take_in
from consent.repository import ConsentRepository, LeadState
from consent.suppression_api import add_suppression_routes
from consent.views import (
    AnswersView,
    ChannelView,
    DecisionView,
    GrantRequest,
    LeadConsentView,
    LedgerEntry,
    QuestionRequest,
    QuestionsRequest,
    StatementAnswer,
    StatementRequest,
)
from shared.contracts import Lead, LeadScored
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
    _add_questions(router, runtime)
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
        """Return what may be done now (or could have been, earlier), the last decision with its trace, the ledger."""
        key = str(lead_id)
        now_at = runtime.clock.now()
        async with runtime.read() as repo:
            state = (await repo.load_states([key]))[key]
            rows = await repo.list_events(key, LEDGER_SHOWN)
            if state.scored is None and not rows:
                raise Problem(404, "lead_not_found", "No such lead")
            last = await repo.find_latest_decision(key)
            now: list[ChannelView] = []
            if state.scored is not None:
                hashes = await find_suppressed(repo, [state.scored])
                decision = decide_lead(
                    repo.live_table.value,
                    repo.live_table.version,
                    state.standing if at is None or at >= now_at else await repo.standing_at(key, at),
                    frozenset[str]().union(*hashes.values()),
                    lead=state.scored.lead,
                    facts=state.scored.facts,
                    at=at or now_at,
                    decision_id="",
                )
                now = [ChannelView.of(channel, one) for channel, one in decision.channels.items()]
        return LeadConsentView(
            lead_id=key,
            may_contact=any(one.allowed for one in now),
            now=now,
            last_decision=DecisionView.of(last) if last else None,
            ledger=[LedgerEntry.of(row) for row in rows],
        )


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
    work.emit(changed(row, kind, may_contact=state.is_cleared))
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
    instants = {} if body.happened_at is not None else {"happened_at": row.happened_at}
    same: bool = msgspec.structs.replace(earlier, known_at=row.known_at, **instants) == row
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


def _add_questions(router: APIRouter, runtime: Runtime[ConsentRepository]) -> None:
    @router.post("/v1/consent/decisions", dependencies=[require_scope("leads:read")])
    async def ask(body: QuestionsRequest) -> AnswersView:
        """Answer whether each person may be contacted now, and why. Asking decides nothing and is not stored."""
        async with runtime.read() as repo:
            answers = await _answer(repo, body.questions, runtime.clock.now())
        for answer in answers:
            metrics.QUESTIONS.labels("allowed" if answer.is_allowed else "denied").inc()
        return AnswersView(
            answers=[
                ChannelView.of(question.channel, answer)
                for question, answer in zip(body.questions, answers, strict=True)
            ]
        )


@dataclass
class Asked:
    """A question, whom it is about, and the addresses that the suppression list is asked about."""

    request: QuestionRequest
    lead_ids: set[str]
    hashes: set[bytes]
    at: datetime

    def question(self, scored: LeadScored | None) -> Question:
        """Return the question about one person: what the request leaves out is taken from the lead."""
        lead = scored.lead if scored is not None else Lead()
        return Question(
            purpose=self.request.purpose,
            channel=self.request.channel,
            jurisdiction=jurisdiction_of(self.request.country or lead.country, self.request.region or lead.region),
            subject_kind=scored.facts.subject_kind if scored is not None else self.request.subject_kind,
            at=self.at,
        )


async def _answer(repo: ConsentRepository, questions: list[QuestionRequest], now: datetime) -> list[Decision]:
    asked = [_ask(index, question, repo.pepper, now) for index, question in enumerate(questions)]
    leads_at = await repo.find_leads_at(sorted({digest for one in asked for digest in one.hashes}))
    for one in asked:
        one.lead_ids |= {lead_id for digest in one.hashes for lead_id in leads_at.get(digest, ())}
    states = await repo.load_states(sorted({lead_id for one in asked for lead_id in one.lead_ids}))
    for one in asked:
        for scored in (states[lead_id].scored for lead_id in one.lead_ids):
            one.hashes |= set(hashes_of(repo.pepper, scored.lead)) if scored is not None else set()
    suppressed = await repo.find_suppressed(sorted({digest for one in asked for digest in one.hashes}))
    answers = []
    for one in asked:
        blocked = frozenset[str]().union(*(suppressed.get(digest, frozenset()) for digest in one.hashes))
        people = [states[lead_id] for lead_id in sorted(one.lead_ids)]
        decided = [await _decide(repo, one, state, blocked, now) for state in people]
        decided = decided or [decide_question(repo.live_table.value, Standing(), blocked, one.question(None))]
        # One address, several people on record: the most restrictive of them counts.
        answers.append(min(decided, key=lambda decision: decision.is_allowed))
    return answers


async def _decide(
    repo: ConsentRepository, asked: Asked, state: LeadState, blocked: frozenset[str], now: datetime
) -> Decision:
    standing = state.standing if asked.at >= now else await repo.standing_at(state.lead_id, asked.at)
    return decide_question(repo.live_table.value, standing, blocked, asked.question(state.scored))


def _ask(index: int, question: QuestionRequest, pepper: bytes, now: datetime) -> Asked:
    lead_ids = {_lead_id(index, question)} if question.lead_id else set()
    return Asked(
        question, lead_ids, set(hashes_of(pepper, Lead(email=question.email, phone=question.phone))), question.at or now
    )


def _lead_id(index: int, question: QuestionRequest) -> str:
    try:
        return str(UUID(question.lead_id))
    except ValueError:
        errors = [{"pointer": f"/questions/{index}/lead_id", "detail": "is no id"}]
        raise Problem(422, "invalid_request", "The request does not fit its schema", errors=errors) from None
