"""HTTP routes that explain a score: where its inputs came from, what would raise it, what time will do to it.

Beside the score, not in it: they cost several scorings each, and nothing of the pipeline asks for them.
"""

import asyncio

from fastapi import APIRouter

from scoring.domain.evidence import KnownProfile
from scoring.explanation.answers import MOST_PROFILES, answer_evidence, answer_outlook
from scoring.explanation.views import EvidenceView, OutlookView
from scoring.lead_at import At, LeadId, get_lead_at
from scoring.repository import ScoringRepository
from shared.http import require_scope
from shared.runtime import Runtime


def build_explanation_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["scores"])
    one_at_a_time = asyncio.Semaphore(1)

    @router.get("/v1/leads/{lead_id}/score/evidence", dependencies=[require_scope("leads:read")])
    async def get_score_evidence(lead_id: LeadId, at: At = None) -> EvidenceView:
        """Return what a score was made from: each input with the record that brought it, each activity that counts."""
        async with runtime.read() as repo:
            found = await get_lead_at(repo, str(lead_id), at, runtime.clock.now())
            profiles = await repo.list_profiles(str(lead_id), found.at, MOST_PROFILES + 1)
        known = [KnownProfile(*each) for each in profiles]
        return await asyncio.to_thread(answer_evidence, str(lead_id), found, known)

    @router.get("/v1/leads/{lead_id}/score/outlook", dependencies=[require_scope("leads:read")])
    async def get_score_outlook(lead_id: LeadId, at: At = None) -> OutlookView:
        """Return what decay will do by when, and the cheapest single signals and rules that would make the lead an
        MQL or raise its grade. Every suggestion was tried on the lead with the model."""
        async with runtime.read() as repo:
            found = await get_lead_at(repo, str(lead_id), at, runtime.clock.now())
        # A thousand scorings for a large model: beside the event loop, which has events to decide, and one request at
        # a time, since threads share one core with it.
        async with one_at_a_time:
            return await asyncio.to_thread(answer_outlook, str(lead_id), found)

    return router
