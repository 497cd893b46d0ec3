"""HTTP routes: what a lead said, may we contact it and why, and the suppression list."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Path

from consent import metrics
from consent.domain.decide import Decision, Question
from consent.domain.decide import decide as decide_question
from consent.domain.jurisdictions import jurisdiction_of
from consent.domain.statements import Standing
from consent.domain.suppression import AddressKind, hash_address
from consent.domain.verdict import decide_lead
from consent.handlers import Work, changed, decide_again, find_suppressed, outcome_of
from consent.ledger import LedgerRow, take_in
from consent.repository import ConsentRepository
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
from shared.http import Principal, Problem, require_scope
from shared.ids import new_id
from shared.runtime import Runtime

LeadId = Annotated[UUID, Path(description="The lead.")]
IdempotencyKey = Annotated[str | None, Header(max_length=200, description="The same key twice is one statement.")]
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
    async def get_consent(lead_id: LeadId) -> LeadConsentView:
        """Return what may be done now, the last decision with its trace, and the ledger."""
        key = str(lead_id)
        async with runtime.read() as repo:
            state = (await repo.load_states([key]))[key]
            rows = await repo.list_events(key, LEDGER_SHOWN)
            if state.scored is None and not rows:
                raise Problem(404, "lead_not_found", "No such lead")
            last = await repo.find_latest_decision(key)
            now: list[ChannelView] = []
            if state.scored is not None:
                hashes = await find_suppressed(repo, [state.scored])
                blocked = frozenset[str]().union(*hashes.values())
                decision = decide_lead(
                    repo.live_table.value,
                    repo.live_table.version,
                    state.standing,
                    blocked,
                    lead=state.scored.lead,
                    facts=state.scored.facts,
                    at=runtime.clock.now(),
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
    if idempotency_key is not None and await repo.has_event(lead_id, row.record_id):
        return StatementAnswer(record_id=row.record_id, duplicate=True, may_contact=state.is_cleared)
    was_cleared = state.is_cleared
    state.standing = take_in(state.standing, [row])
    await repo.add_events([row])
    decisions = await decide_again(work, [state])
    work.emit(changed(row, kind, may_contact=state.is_cleared))
    if state.is_cleared and not was_cleared and state.scored is not None and state.decision is not None:
        work.emit(outcome_of(state.scored, state.decision))
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


async def _answer(repo: ConsentRepository, questions: list[QuestionRequest], now: datetime) -> list[Decision]:
    lead_ids = [_lead_id(index, question) for index, question in enumerate(questions) if question.lead_id]
    states = await repo.load_states(lead_ids)
    hashes: dict[int, list[bytes]] = {}
    for index, question in enumerate(questions):
        scored = states[question.lead_id].scored if question.lead_id else None
        email = question.email or (scored.lead.email if scored else None)
        phone = question.phone or (scored.lead.phone if scored else None)
        hashes[index] = [
            hash_address(repo.pepper, kind, address)
            for kind, address in _addresses(email, phone)
            if address is not None
        ]
    suppressed = await repo.find_suppressed(sorted({digest for digests in hashes.values() for digest in digests}))
    table = repo.live_table.value
    answers = []
    for index, question in enumerate(questions):
        state = states[question.lead_id] if question.lead_id else None
        scored = state.scored if state else None
        blocked = frozenset[str]().union(*(suppressed.get(digest, frozenset()) for digest in hashes[index]))
        country = question.country or (scored.lead.country if scored else None)
        region = question.region or (scored.lead.region if scored else None)
        asked = Question(
            purpose=question.purpose,
            channel=question.channel,
            jurisdiction=jurisdiction_of(country, region),
            subject_kind=scored.facts.subject_kind if scored else question.subject_kind,
            at=question.at or now,
        )
        answers.append(decide_question(table, state.standing if state else Standing(), blocked, asked))
    return answers


def _addresses(email: str | None, phone: str | None) -> tuple[tuple[AddressKind, str | None], ...]:
    return (("email", email), ("phone", phone))


def _lead_id(index: int, question: QuestionRequest) -> str:
    try:
        question.lead_id = str(UUID(question.lead_id))
    except ValueError:
        errors = [{"pointer": f"/questions/{index}/lead_id", "detail": "is no id"}]
        raise Problem(422, "invalid_request", "The request does not fit its schema", errors=errors) from None
    return question.lead_id
