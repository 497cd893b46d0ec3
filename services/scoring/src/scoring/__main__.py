"""Composition root: settings, wiring, run."""

from datetime import timedelta

from scoring import tables
from scoring.api import build_router
from scoring.backtest.health import ScoringHealth
from scoring.backtest.schedule import BacktestSchedule
from scoring.handlers import HANDLERS, TIMERS
from scoring.jobs.runner import JobRunner
from scoring.model_document import model_store
from scoring.outcomes.catch_up import OutcomeCatchUp
from scoring.prediction.repository import LivePredictions
from scoring.repository import ScoringRepository
from scoring.settings import ScoringSettings
from shared.runtime import Consumer, Service, run_service


def build_service(settings: ScoringSettings) -> Service[ScoringRepository]:
    """Wire the service."""
    models = model_store()
    predictions = LivePredictions()
    return Service(
        name="scoring",
        settings=settings,
        repository=lambda sql: ScoringRepository(sql, models, predictions),
        metadata=tables.METADATA,
        consumers=(Consumer("scoring", HANDLERS),),
        timers=TIMERS,
        documents=(models,),
        build_router=build_router,
        workers=(
            lambda runtime: JobRunner(runtime, kept=timedelta(days=settings.job_retention_days)),
            OutcomeCatchUp,
            lambda runtime: BacktestSchedule(runtime, models, timedelta(days=settings.backtest_every_days)),
            lambda runtime: ScoringHealth(runtime, models),
        ),
    )


def main() -> None:
    """Run the service until it is told to stop."""
    run_service(build_service(ScoringSettings()))


if __name__ == "__main__":
    main()
