"""Composition root: settings, wiring, run."""

from datetime import timedelta

from shared.runtime import Consumer, Service, run_service
from sla_monitor import tables
from sla_monitor.api import build_router
from sla_monitor.census import ClockCensus
from sla_monitor.handlers import HANDLERS, TIMERS
from sla_monitor.policy_document import policy_store
from sla_monitor.repository import SlaRepository
from sla_monitor.settings import SlaMonitorSettings


def build_service(settings: SlaMonitorSettings) -> Service[SlaRepository]:
    """Wire the service."""
    policies = policy_store()
    return Service(
        name="sla-monitor",
        settings=settings,
        repository=lambda sql: SlaRepository(sql, policies),
        metadata=tables.METADATA,
        consumers=(Consumer("sla-monitor", HANDLERS, rest=timedelta(milliseconds=50)),),
        timers=TIMERS,
        documents=(policies,),
        build_router=build_router,
        workers=(lambda runtime: ClockCensus(runtime, settings.census_seconds),),
    )


def main() -> None:
    """Run the service until it is told to stop."""
    run_service(build_service(SlaMonitorSettings()))


if __name__ == "__main__":
    main()
