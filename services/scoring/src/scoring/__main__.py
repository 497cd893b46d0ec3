"""Composition root: settings, wiring, run."""

from scoring import tables
from scoring.api import build_router
from scoring.handlers import HANDLERS, TIMERS
from scoring.model_document import default_model_text, parse_model
from scoring.repository import ScoringRepository
from scoring.settings import ScoringSettings
from shared.documents import DocumentStore
from shared.runtime import Consumer, Service, run_service


def build_service(settings: ScoringSettings) -> Service[ScoringRepository]:
    """Wire the service."""
    models = DocumentStore("scoring_model", parse_model, default=default_model_text())
    return Service(
        name="scoring",
        settings=settings,
        repository=lambda sql: ScoringRepository(sql, models),
        metadata=tables.METADATA,
        consumers=(Consumer("scoring", HANDLERS),),
        timers=TIMERS,
        documents=(models,),
        build_router=build_router,
    )


def main() -> None:
    """Run the service until it is told to stop."""
    run_service(build_service(ScoringSettings()))


if __name__ == "__main__":
    main()
