"""HTTP routes: one lead's score with its explanation, its history, all scores, and a preview."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from scoring.backtest.api import backtests_router
from scoring.domain.activity import Activity
from scoring.domain.model import Grade
from scoring.domain.standing import stand_at
from scoring.explanation.api import build_explanation_router
from scoring.jobs.api import jobs_router
from scoring.lead_at import At, LeadId, get_lead_at, get_model, no_score
from scoring.outcomes.api import outcomes_router
from scoring.planning.api import planning_router
from scoring.prediction.api import build_prediction_router, predict_view
from scoring.prediction.listing import Place, list_by_probability
from scoring.repository import KnownAt, ScoringRepository
from scoring.views import (
    DecisionView,
    ExplainedDecision,
    LeadScoreView,
    LineView,
    ListedScore,
    PreviewRequest,
    StandingView,
)
from shared.http import Cursor, Limit, Page, Problem, decode_cursor, encode_cursor, require_scope
from shared.runtime import Runtime


def build_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes of this service."""
    router = APIRouter(tags=["scores"])

    @router.get("/v1/leads/{lead_id}/score", dependencies=[require_scope("leads:read")])
    async def get_lead_score(lead_id: LeadId, at: At = None) -> LeadScoreView:
        """Return the score by formula at an instant, line by line, and the decision that stood then."""
        async with runtime.read() as repo:
            found = await get_lead_at(repo, str(lead_id), at, runtime.clock.now())
            decided = await _explain(repo, found.known)
            live = await repo.find_live_prediction()
        return LeadScoreView(
            lead_id=str(lead_id),
            prediction=predict_view(live, found),
            decided=decided,
            **StandingView.fields_of(found.standing, found.at, found.version),
        )

    @router.get("/v1/leads/{lead_id}/score/history", dependencies=[require_scope("leads:read")])
    async def list_lead_scores(lead_id: LeadId, limit: Limit = 50, cursor: Cursor = None) -> Page[DecisionView]:
        """Return every score decided for a lead, newest first."""
        before = None if cursor is None else _uuid(decode_cursor(cursor, size=1)[0])
        async with runtime.read() as repo:
            rows = await repo.list_decisions(str(lead_id), before=before, limit=limit + 1)
        if not rows and cursor is None:
            raise no_score(is_past=False)
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
    ) -> Page[ListedScore]:
        """Return the latest decided score of each lead, as of `scored_at`: the highest first, or the most probable, if
        the scoring model says `ranking: probability` and a predictive model is live."""
        async with runtime.read() as repo:
            live = await repo.find_live_prediction() if repo.live_model.value.ranking == "probability" else None
            if live is not None:
                place = None if cursor is None else Place.parse(cursor)
                rows = await list_by_probability(
                    repo.predictions.sql, live.version,
                    grade=grade, is_mql=is_mql, min_points=min_points, after=place, limit=limit + 1,
                )  # fmt: skip
                more = Place.of(rows[limit - 1], live.version).cursor() if len(rows) > limit else None
            else:
                after = None if cursor is None else _list_position(cursor)
                rows = await repo.list_scores(
                    grade=grade, is_mql=is_mql, min_points=min_points, after=after, limit=limit + 1
                )
                last = rows[limit - 1] if len(rows) > limit else None
                more = None if last is None else encode_cursor(repr(last["points"]), str(last["lead_id"]))
        return Page(items=[ListedScore.of(row) for row in rows[:limit]], next_cursor=more)

    @router.post("/v1/scores/preview", dependencies=[require_scope("config:plan")])
    async def preview_score(request: PreviewRequest) -> StandingView:
        """Score a lead that need not exist, with any stored version of the model. Nothing is stored or sent."""
        now = runtime.clock.now()
        at = request.at or now
        async with runtime.read() as repo:
            version = request.model_version or repo.live_model.version
            model = await get_model(repo, version)
        activities = _previewed(request, now, at)
        standing = await asyncio.to_thread(
            stand_at, model, request.lead(), request.facts(), activities, at, was_mql=False
        )
        return StandingView(**StandingView.fields_of(standing, at, version))

    router.include_router(jobs_router(runtime))
    router.include_router(planning_router(runtime))
    router.include_router(outcomes_router(runtime))
    router.include_router(backtests_router(runtime))
    router.include_router(build_explanation_router(runtime))
    router.include_router(build_prediction_router(runtime))
    return router


async def _explain(repo: ScoringRepository, known: KnownAt) -> ExplainedDecision:
    decision = DecisionView.of(known.decision)
    lines = await repo.find_lines(decision.lead_id, decision.decision_id)
    return ExplainedDecision(
        **decision.model_dump(), lines=None if lines is None else [LineView.of(line) for line in lines]
    )


def _previewed(request: PreviewRequest, now: datetime, at: datetime) -> list[Activity]:
    """Return the activities that happened by *at*, each known when it happened: a preview of the future may hold what
    is yet to come."""
    return [
        Activity(
            activity_id=str(number),
            kind=each.kind,
            occurred_at=each.occurred_at,
            known_at=max(now, each.occurred_at),
            detail=each.detail,
        )
        for number, each in enumerate(request.activities)
        if each.occurred_at <= at
    ]


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
