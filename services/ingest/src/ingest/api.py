"""Ingest's routes: the door, and what people manage it with."""

from datetime import datetime
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.routing import Route

from ingest.api_door import door_routes
from ingest.api_leads import lead_routes
from ingest.api_quarantine import quarantine_routes
from ingest.api_source_secrets import source_secret_routes
from ingest.api_sources import source_routes
from ingest.capture import Capture
from ingest.domain.ledger import balance, differences
from ingest.door import Door
from ingest.replay import Replay
from ingest.repository import IngestRepository
from ingest.settings import IngestSettings
from ingest.sources import SourceDirectory
from shared.http import require_scope
from shared.runtime import Runtime


class LedgerView(BaseModel):
    """Every accepted record is in exactly one state. ``balanced``: accepted = the sum of all states, now."""

    at: datetime
    accepted: int
    mapped: int
    activity: int
    ignored: int
    quarantined: int
    discarded: int
    mapped_by_state: dict[str, int]
    in_flight: int
    in_flight_oldest_seconds: float | None
    balanced: bool
    imbalance: int
    differences: dict[str, int]


def build_router(runtime: Runtime[IngestRepository]) -> APIRouter:
    """Return the routes of this service."""
    sources, capture, door = _parts_of(runtime)
    router = APIRouter()
    router.include_router(door_routes(door))
    router.include_router(source_routes(runtime, sources))
    router.include_router(source_secret_routes(runtime, sources))
    router.include_router(quarantine_routes(runtime, Replay(runtime, sources, capture)))
    router.include_router(lead_routes(runtime, door, capture))
    router.include_router(ledger_routes(runtime))
    return router


def build_fast_routes(runtime: Runtime[IngestRepository]) -> list[Route]:
    """Return the door: every method comes to it, and it says which it takes."""
    _, _, door = _parts_of(runtime)
    return [Route("/v1/sources/{key}/submissions", door, include_in_schema=False)]


@lru_cache(maxsize=1)  # both sets of routes share one queue in front of the commit
def _parts_of(runtime: Runtime[IngestRepository]) -> tuple[SourceDirectory, Capture, Door]:
    settings = runtime.settings
    assert isinstance(settings, IngestSettings)
    sources = directory_of(runtime)
    capture = Capture(runtime, settings.default_country)
    return sources, capture, Door(runtime, sources, capture)


def directory_of(runtime: Runtime[IngestRepository]) -> SourceDirectory:
    """Return the source directory that the runtime keeps fresh."""
    return next(worker for worker in runtime.workers if isinstance(worker, SourceDirectory))


def ledger_routes(runtime: Runtime[IngestRepository]) -> APIRouter:
    """Return the ledger's route."""
    router = APIRouter(tags=["ledger"])

    @router.get("/v1/ledger", dependencies=[require_scope("leads:read")])
    async def get_ledger(
        *,
        verify: Annotated[
            bool, Query(description="Count all records again and compare. Reads the whole table.")
        ] = False,
    ) -> LedgerView:
        """Return where every accepted record is."""
        now = runtime.clock.now()
        async with runtime.work() as work:
            if verify:  # one instant for both sides of the comparison
                await work.repo.sql.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            counters = await work.repo.ledger.load_counters()
            recounted = await work.repo.ledger.recount() if verify else counters
            oldest = await work.repo.ledger.find_oldest_in_flight(now)
        result = balance(counters)
        gaps = differences(counters, recounted)
        by_state = result.by_state
        return LedgerView(
            at=now,
            accepted=result.accepted,
            mapped=result.mapped,
            activity=by_state["activity"],
            ignored=by_state["ignored"],
            quarantined=by_state["quarantined"],
            discarded=by_state["discarded"],
            mapped_by_state={
                state: count
                for state, count in by_state.items()
                if state not in {"activity", "ignored", "quarantined", "discarded"}
            },
            in_flight=by_state["in_flight"],
            in_flight_oldest_seconds=oldest.total_seconds() if oldest is not None else None,
            balanced=result.is_balanced and not gaps,
            imbalance=result.imbalance,
            differences=gaps,
        )

    return router
