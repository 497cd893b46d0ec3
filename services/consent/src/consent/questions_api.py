"""HTTP route of questions: may this person be contacted, for what, on which channel, at which instant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from consent import metrics
from consent.domain.decide import Decision, Question, decide
from consent.domain.jurisdictions import jurisdiction_of
from consent.domain.rules import RuleTable
from consent.domain.statements import Standing
from consent.domain.suppression import hashes_of, is_address
from consent.repository import ConsentRepository, LeadState, Ledger, Suppressed
from consent.views import AnswersView, ChannelView, QuestionRequest, QuestionsRequest
from shared.contracts import Lead, LeadScored
from shared.http import Problem, require_scope
from shared.runtime import Runtime

_NEVER = datetime.max.replace(tzinfo=UTC)


def add_question_routes(router: APIRouter, runtime: Runtime[ConsentRepository]) -> None:
    """Add the route to *router*."""

    @router.post("/v1/consent/decisions", dependencies=[require_scope("leads:read")])
    async def ask(body: QuestionsRequest) -> AnswersView:
        """Answer whether each person may be contacted, and why. Asking decides nothing and is not stored.

        About an address, everybody known to have it is consulted and the most restrictive answer counts. About the
        past, what had been said and suppressed by then counts, under the rules in force now.
        """
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
class _Asked:
    """A question, the leads it is about, and the addresses it names. ``past``: its instant if that is over."""

    request: QuestionRequest
    at: datetime
    past: datetime | None
    lead_ids: set[str]
    hashes: list[bytes]

    @property
    def has_unreadable_address(self) -> bool:
        """Tell whether an address is named that cannot be looked up: then nothing is known, and nothing allowed."""
        email, phone = self.request.email, self.request.phone
        return (email is not None and not is_address("email", email)) or (
            phone is not None and not is_address("phone", phone)
        )

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


@dataclass(frozen=True)
class _Known:
    """What is known about everybody asked for, loaded at once."""

    pepper: bytes
    table: RuleTable
    states: Mapping[str, LeadState]
    ledgers: Mapping[str, Ledger]
    suppressed: Suppressed

    def decide(self, asked: _Asked) -> Decision:
        """Return the most restrictive answer over all leads that *asked* is about."""
        if asked.has_unreadable_address:
            jurisdiction = asked.question(None).jurisdiction
            return Decision(is_allowed=False, rule_id="DEFAULT-DENY", reason="no_address", jurisdiction=jurisdiction)
        if not asked.lead_ids:
            blocked = self.suppressed.channels(asked.hashes, at=asked.past)
            return decide(self.table, Standing(), blocked, asked.question(None))
        decided = [self._decide_about(asked, self.states[lead_id]) for lead_id in sorted(asked.lead_ids)]
        return min(decided, key=lambda one: (one.is_allowed, one.expires_at or _NEVER))

    def _decide_about(self, asked: _Asked, state: LeadState) -> Decision:
        own = hashes_of(self.pepper, state.scored.lead) if state.scored is not None else []
        blocked = self.suppressed.channels([*asked.hashes, *own], at=asked.past)
        standing = state.standing if asked.past is None else self.ledgers[state.lead_id].standing(asked.past)
        return decide(self.table, standing, blocked, asked.question(state.scored))


async def _answer(repo: ConsentRepository, questions: list[QuestionRequest], now: datetime) -> list[Decision]:
    asked = [_read(index, question, repo.pepper, now) for index, question in enumerate(questions)]
    leads_at = await repo.find_leads_at(sorted({digest for one in asked for digest in one.hashes}))
    for one in asked:
        one.lead_ids.update(lead_id for digest in one.hashes for lead_id in leads_at.get(digest, ()))
    states = await repo.load_states(sorted({lead_id for one in asked for lead_id in one.lead_ids}))
    ledgers = await repo.load_ledgers(sorted({lead_id for one in asked if one.past for lead_id in one.lead_ids}))
    leads = [state.scored.lead for state in states.values() if state.scored is not None]
    hashes = {digest for lead in leads for digest in hashes_of(repo.pepper, lead)}
    suppressed = await repo.find_suppressed(hashes.union(*(one.hashes for one in asked)))
    known = _Known(repo.pepper, repo.live_table.value, states, ledgers, suppressed)
    return [known.decide(one) for one in asked]


def _read(index: int, question: QuestionRequest, pepper: bytes, now: datetime) -> _Asked:
    return _Asked(
        request=question,
        at=question.at or now,
        past=question.at if question.at is not None and question.at < now else None,
        lead_ids={_lead_id(index, question.lead_id)} if question.lead_id else set(),
        hashes=hashes_of(pepper, Lead(email=question.email, phone=question.phone)),
    )


def _lead_id(index: int, text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        errors = [{"pointer": f"/questions/{index}/lead_id", "detail": "is no id"}]
        raise Problem(422, "invalid_request", "The request does not fit its schema", errors=errors) from None
