"""HTTP routes of the routing service."""

from fastapi import APIRouter

from routing.api import callbacks, endpoints, leads, reps
from routing.domain.document import RoutingDocument
from routing.repository import RoutingRepository
from shared.documents import DocumentStore
from shared.runtime import Runtime


def build_router(runtime: Runtime[RoutingRepository], documents: DocumentStore[RoutingDocument]) -> APIRouter:
    """Return every route of this service."""
    router = APIRouter()
    router.include_router(leads.build_router(runtime, documents))
    router.include_router(reps.build_router(runtime))
    router.include_router(endpoints.build_router(runtime))
    router.include_router(callbacks.build_router(runtime))
    return router
