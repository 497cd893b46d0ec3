"""Composition root: settings, wiring, run."""

from collections.abc import Callable
from typing import Any

from shared.contracts import ActivityRecorded, Event, LeadUnassigned
from shared.runtime import Consumer, Service, run_service
from sla_monitor import tables
from sla_monitor.api import build_router
from sla_monitor.census import ClockCensus
from sla_monitor.handlers import HANDLERS, TIMERS, is_timed_ending
from sla_monitor.policy_document import policy_store
from sla_monitor.repository import SlaRepository
from sla_monitor.settings import SlaMonitorSettings


def build_service(settings: SlaMonitorSettings) -> Service[SlaRepository]:
    """Wire the service."""
    policies = policy_store()
    # What the handlers would look at and drop needs no inbox row either.
    wanted: dict[type[Event], Callable[[Any], bool]] = {
        LeadUnassigned: is_timed_ending,
        ActivityRecorded: lambda event: event.kind in policies.live.value.touch_kinds,
    }
    return Service(
        name="sla-monitor",
        settings=settings,
        repository=lambda sql: SlaRepository(sql, policies),
        metadata=tables.METADATA,
        consumers=(Consumer("sla-monitor", HANDLERS, wanted),),
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
