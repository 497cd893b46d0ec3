"""Composition root of the routing service."""

from routing import tables
from routing.api import build_router
from routing.delivery.worker import DeliveryWorker
from routing.document_text import default_document_text, parse_document
from routing.handlers import HANDLERS, is_about_assignment
from routing.recovery import RECOVERY
from routing.reference import ReferenceCache
from routing.repository import RoutingRepository
from routing.settings import RoutingSettings
from shared.contracts import SlaClockChanged
from shared.documents import DocumentStore
from shared.runtime import Consumer, Service, run_service


def build_service(settings: RoutingSettings) -> Service[RoutingRepository]:
    """Wire the service together."""
    documents = DocumentStore("routing", parse_document, default=default_document_text())
    cache = ReferenceCache()
    return Service(
        name="routing",
        settings=settings,
        repository=lambda sql: RoutingRepository(sql, documents, cache),
        consumers=(Consumer("routing", HANDLERS, {SlaClockChanged: is_about_assignment}),),
        documents=(documents,),
        build_router=lambda runtime: build_router(runtime, documents),
        workers=(DeliveryWorker,),
        metadata=tables.METADATA,
        recovery=RECOVERY,
    )


def main() -> None:
    """Run the service."""
    run_service(build_service(RoutingSettings()))


if __name__ == "__main__":
    main()
