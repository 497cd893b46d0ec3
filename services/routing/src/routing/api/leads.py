"""A lead's routing, assignments, the fallback queue, and a person's own decision."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel

from routing.api.views import (
    AssignmentView,
    DecisionView,
    LeadRoutingView,
    RepId,
    Since,
    WaitingView,
    Why,
    assignment_view,
    callback_views,
    decision_view,
    waiting_view,
)
from routing.domain.decide import place_lead
from routing.domain.desk import LeadFile
from routing.domain.document import RoutingDocument
from routing.domain.replay import replay_trace
from routing.domain.trace import Trace
from routing.endpoints import EndpointStore
from routing.filing import Filing
from routing.listings import Listings
from routing.repository import RoutingRepository
from shared.clock import format_instant
from shared.documents import DocumentNotFound, DocumentStore
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    Problem,
    Strict,
    decode_cursor,
    encode_cursor,
    require_scope,
)
from shared.runtime import Runtime

Text = Annotated[str | None, Query(max_length=200)]
AssignmentState = Annotated[Literal["open", "worked", "ended"] | None, Query(description="Only these.")]


class PlaceRequest(Strict):
    """Who shall have the lead, and why: the reason is audited."""

    rep_id: RepId
    why: Why


class ReplayView(BaseModel):
    """What a document makes of a recorded decision's inputs. ``is_same``: the same rule and the same rep."""

    decision_id: str
    document_version: str
    rule_id: str | None
    rep_id: str | None
    is_same: bool


def build_router(runtime: Runtime[RoutingRepository], documents: DocumentStore[RoutingDocument]) -> APIRouter:
    """Return the routes about leads."""
    router = APIRouter(tags=["routing"], route_class=IdempotentRoute)

    @router.get("/v1/leads/{lead_id}/routing", dependencies=[require_scope("leads:read")])
    async def get_lead_routing(lead_id: UUID) -> LeadRoutingView:
        """Return who has the lead, the decision with its full trace, the history, and the callbacks with attempts."""
        async with runtime.read() as repo:
            return await _describe(repo, str(lead_id))

    @router.post("/v1/leads/{lead_id}/assignment")
    async def assign_lead(
        lead_id: UUID, request: PlaceRequest, principal: Annotated[Principal, require_scope("routing:write")]
    ) -> AssignmentView:
        """Give the lead to a rep, by a person's decision: caps and hours do not bind, consent and pauses do. Giving
        a lead to the rep who has it changes nothing."""
        return await _place(runtime, str(lead_id), request, principal)

    @router.get("/v1/assignments", dependencies=[require_scope("leads:read")])
    async def list_assignments(
        rep_id: Text = None,
        team: Text = None,
        pool: Text = None,
        source_key: Text = None,
        state: AssignmentState = None,
        since: Since = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[AssignmentView]:
        """Return assignments, newest first."""
        filters: dict[str, Any] = {
            "rep_id": rep_id, "team": team, "pool": pool, "source_key": source_key, "state": state, "since": since,
        }  # fmt: skip
        async with runtime.read() as repo:
            rows = await Listings(repo.sql).list_assignments(filters, before=uuid_in(cursor), limit=limit + 1)
        items = [assignment_view(row) for row in rows[:limit]]
        more = encode_cursor(items[-1].assignment_id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.get("/v1/fallback-queue", dependencies=[require_scope("leads:read")])
    async def list_fallback_queue(reason: Text = None, limit: Limit = 50, cursor: Cursor = None) -> Page[WaitingView]:
        """Return the leads that wait for a person, the longest waiting first."""
        async with runtime.read() as repo:
            rows = await Listings(repo.sql).list_waiting(reason=reason, after=_position(cursor), limit=limit + 1)
        items = [waiting_view(row) for row in rows[:limit]]
        last = items[-1] if items else None
        more = encode_cursor(format_instant(last.queued_at), last.lead_id) if last and len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.get("/v1/decisions/{decision_id}", dependencies=[require_scope("leads:read")])
    async def get_decision(decision_id: UUID) -> DecisionView:
        """Return one decision with its trace."""
        async with runtime.read() as repo:
            row = await Listings(repo.sql).find_decision(str(decision_id))
        if row is None:
            raise Problem(404, "decision_not_found", "No such decision")
        return decision_view(row)

    @router.get("/v1/decisions/{decision_id}/replay", dependencies=[require_scope("leads:read")])
    async def replay_decision(
        decision_id: UUID,
        document_version: Annotated[str | None, Query(max_length=20, description="Default: the recorded one.")] = None,
    ) -> ReplayView:
        """Make a recorded decision again from its trace, with the document it was made with or another one."""
        decision = await get_decision(decision_id)
        return await _replay(documents, decision, document_version)

    return router


def uuid_in(cursor: str | None) -> str | None:
    """Return the id in a cursor. Errors: `Problem` 422."""
    if cursor is None:
        return None
    (text,) = decode_cursor(cursor, size=1)
    try:
        return str(UUID(text))
    except ValueError:
        raise _bad_cursor() from None


def _position(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    instant, lead_id = decode_cursor(cursor, size=2)
    try:
        return datetime.fromisoformat(instant).astimezone(UTC), str(UUID(lead_id))
    except (ValueError, OverflowError):
        raise _bad_cursor() from None


def _bad_cursor() -> Problem:
    errors = [{"pointer": "query:/cursor", "detail": "use next_cursor of the page before"}]
    return Problem(422, "invalid_cursor", "This cursor was not made by this list", errors=errors)


async def _describe(repo: RoutingRepository, lead_id: str) -> LeadRoutingView:
    listings, endpoints = Listings(repo.sql), EndpointStore(repo.sql)
    lead = await listings.find_lead(lead_id)
    if lead is None:
        raise _no_lead()
    history = [assignment_view(row) for row in await listings.list_assignments_of(lead_id)]
    decisions = [decision_view(row) for row in await listings.list_decisions_of(lead_id)]
    waiting = await listings.find_waiting(lead_id)
    callbacks = await endpoints.list_callbacks({"lead_id": lead_id}, before=None, limit=50)
    failed = await endpoints.list_failed_attempts([str(row["callback_id"]) for row in callbacks])
    owner = next((item for item in history if item.ended_at is None), None)
    is_blocked = await endpoints.is_blocked(lead_id)
    state = "assigned" if owner else "fallback_queue" if waiting else "withheld" if is_blocked else "unassigned"
    return LeadRoutingView(
        lead_id=lead_id,
        state=state,
        owner=owner,
        waiting=waiting_view(waiting) if waiting is not None else None,
        blocked_at=lead["blocked_at"],
        decision=decisions[0] if decisions else None,
        history=history,
        decisions=decisions,
        callbacks=callback_views(callbacks, failed),
    )


async def _place(
    runtime: Runtime[RoutingRepository], lead_id: str, request: PlaceRequest, principal: Principal
) -> AssignmentView:
    async with runtime.work() as work:
        desk, reference = await work.repo.open_desk(work.now)
        if request.rep_id not in desk.roster.reps:
            errors = [{"pointer": "/rep_id", "detail": "no such rep"}]
            raise Problem(422, "rep_not_found", "The rep does not exist", errors=errors)
        if desk.roster.reps[request.rep_id].is_paused:
            errors = [{"pointer": "/rep_id", "detail": "paused: takes no leads, not even from a person"}]
            raise Problem(409, "rep_paused", "The rep is paused", errors=errors)
        await work.repo.load_known(desk, [lead_id])
        file = _placeable(desk.files.get(lead_id))
        assert file.case is not None
        if file.owner is None or file.owner.rep_id != request.rep_id:
            before = {"rep_id": file.owner.rep_id if file.owner is not None else None}
            await work.repo.load_rep(desk, request.rep_id)
            filing = Filing(work, desk, reference.endpoints)
            filing.file_decision(file, file.case, place_lead(file, request.rep_id, "person", desk), None)
            await work.repo.save(filing)
            work.audit(
                actor=principal.client_id,
                action="lead.assigned",
                subject=lead_id,
                before=before,
                after={"rep_id": request.rep_id},
                why=request.why,
            )
    async with runtime.read() as repo:
        rows = await Listings(repo.sql).list_assignments_of(lead_id)
    return assignment_view(rows[0])


def _placeable(file: LeadFile | None) -> LeadFile:
    if file is None:
        raise _no_lead()
    if file.case is None or file.is_blocked(file.case.verdict.decided_at):
        raise Problem(409, "consent_withdrawn", "Consent forbids contact with this lead")
    return file


def _no_lead() -> Problem:
    return Problem(404, "lead_not_found", "No such lead", detail="Routing never got this lead from consent.")


async def _replay(
    documents: DocumentStore[RoutingDocument], decision: DecisionView, document_version: str | None
) -> ReplayView:
    version = document_version or decision.trace["document_version"]
    try:
        document = await documents.get(version)
    except DocumentNotFound:
        errors = [{"pointer": "query:/document_version", "detail": "no such version"}]
        raise Problem(404, "document_not_found", "No such version of the routing document", errors=errors) from None
    trace = msgspec.convert(decision.trace, Trace)
    replayed = replay_trace(trace, document)
    if replayed is None:
        raise Problem(409, "no_rule_involved", "This decision needed no rule", detail=f"Settled by {trace.settled_by}.")
    rule = next((tried.rule_id for tried in trace.rules if tried.lost_because is None), None)
    rep = next((tried.rep_id for tried in trace.members if tried.lost_because is None), None)
    return ReplayView(
        decision_id=decision.decision_id,
        document_version=version,
        rule_id=replayed.rule_id,
        rep_id=replayed.rep_id,
        is_same=(replayed.rule_id, replayed.rep_id) == (rule, rep),
    )
