"""HTTP routes: one lead's score with its explanation, its history, all scores, and a preview."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime

from scoring.domain.activity import Activity
from scoring.domain.model import Grade, ScoringModel
from scoring.domain.standing import stand_at
from scoring.repository import KnownAt, ScoringRepository
from scoring.views import (
    DecisionView,
    ExplainedDecision,
    LeadScoreView,
    LineView,
    PreviewRequest,
    StandingView,
)
from shared.documents import DocumentNotFound
from shared.http import Cursor, Limit, Page, Problem, decode_cursor, encode_cursor, require_scope
from shared.runtime import Runtime

LeadId = Annotated[UUID, Path(description="The lead.")]
Instant = Annotated[
    AwareDatetime | None,
    Query(description="Score at this instant: with what was known then, or, in the future, after decay. Default: now."),
]


def build_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes of this service."""
    router = APIRouter(tags=["scores"])

    @router.get("/v1/leads/{lead_id}/score", dependencies=[require_scope("leads:read")])
    async def get_lead_score(lead_id: LeadId, at: Instant = None) -> LeadScoreView:
        """Return the score by formula at an instant, line by line, and the decision that stood then."""
        now = runtime.clock.now()
        instant = now if at is None else at.astimezone(UTC)
        async with runtime.read() as repo:
            known = await repo.find_known_at(str(lead_id), instant)
            if known is None:
                raise _no_score(is_past=at is not None and instant < now)
            decided = await _explain(repo, known)
            # The past is explained with the version that decided then, the present and the future with the live one.
            version = known.decision["model_version"] if instant < now else repo.live_model.version
            model = await _get_model(repo, version)
        standing = stand_at(
            model,
            known.profile.lead,
            known.profile.facts,
            known.activities,
            instant,
            was_mql=known.decision["is_mql"],
        )
        return LeadScoreView(
            lead_id=str(lead_id), decided=decided, **StandingView.fields_of(standing, instant, version)
        )

    @router.get("/v1/leads/{lead_id}/score/history", dependencies=[require_scope("leads:read")])
    async def list_lead_scores(lead_id: LeadId, limit: Limit = 50, cursor: Cursor = None) -> Page[DecisionView]:
        """Return every score decided for a lead, newest first."""
        before = None if cursor is None else _uuid(decode_cursor(cursor, size=1)[0])
        async with runtime.read() as repo:
            rows = await repo.list_decisions(str(lead_id), before=before, limit=limit + 1)
        if not rows and cursor is None:
            raise _no_score(is_past=False)
        items = [DecisionView.of(row) for row in rows[:limit]]
        more = encode_cursor(items[-1].decision_id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.get("/v1/scores", dependencies=[require_scope("leads:read")])
    async def list_scores(
        grade: Annotated[Grade | None, Query(description="Only this letter.")] = None,
        is_mql: Annotated[
            bool | None, Query(description="Only leads that are, or are not, marketing-qualified.")
        ] = None,
        min_points: Annotated[float | None, Query(ge=0, le=100, description="Only scores from here up.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[DecisionView]:
        """Return the latest decided score of each lead, highest first, with its points as of `scored_at`."""
        after = None if cursor is None else _list_position(cursor)
        async with runtime.read() as repo:
            rows = await repo.list_scores(
                grade=grade, is_mql=is_mql, min_points=min_points, after=after, limit=limit + 1
            )
        items = [DecisionView.of(row) for row in rows[:limit]]
        more = encode_cursor(repr(items[-1].points), items[-1].lead_id) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.post("/v1/scores/preview", dependencies=[require_scope("config:plan")])
    async def preview_score(request: PreviewRequest) -> StandingView:
        """Score a lead that need not exist, with any stored version of the model. Nothing is stored or sent."""
        now = runtime.clock.now()
        at = now if request.at is None else request.at.astimezone(UTC)
        async with runtime.read() as repo:
            version = request.model_version or repo.live_model.version
            model = await _get_model(repo, version)
        standing = stand_at(model, request.lead(), request.facts(), _previewed(request, now), at, was_mql=False)
        return StandingView(**StandingView.fields_of(standing, at, version))

    return router


async def _get_model(repo: ScoringRepository, version: str) -> ScoringModel:
    if version == repo.live_model.version:
        return repo.live_model.value
    try:
        return await repo.get_model(version)
    except DocumentNotFound:
        raise Problem(
            404,
            "model_version_not_found",
            "No such version of the scoring model",
            errors=[{"pointer": "/model_version", "detail": "not a stored version"}],
        ) from None


async def _explain(repo: ScoringRepository, known: KnownAt) -> ExplainedDecision:
    decision = DecisionView.of(known.decision)
    lines = await repo.find_lines(decision.lead_id, decision.decision_id)
    return ExplainedDecision(
        **decision.model_dump(), lines=None if lines is None else [LineView.of(line) for line in lines]
    )


def _previewed(request: PreviewRequest, now: datetime) -> list[Activity]:
    """Return the activities, each known when it happened: a preview of the future may hold what is yet to come."""
    return [
        Activity(
            activity_id=str(number),
            kind=each.kind,
            occurred_at=each.occurred_at.astimezone(UTC),
            known_at=max(now, each.occurred_at.astimezone(UTC)),
            detail=each.detail,
        )
        for number, each in enumerate(request.activities)
    ]


def _no_score(*, is_past: bool) -> Problem:
    detail = "It was not scored by this instant." if is_past else "It was not scored yet, or does not exist."
    return Problem(404, "score_not_found", "This lead has no score", detail=detail)


def _list_position(cursor: str) -> tuple[float, str]:
    points, lead_id = decode_cursor(cursor, size=2)
    try:
        return float(points), _uuid(lead_id)
    except ValueError:
        raise _bad_cursor() from None


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise _bad_cursor() from None


def _bad_cursor() -> Problem:
    return Problem(
        422,
        "invalid_cursor",
        "This cursor was not made by this list",
        errors=[{"pointer": "query:/cursor", "detail": "use next_cursor of the page before"}],
    )
