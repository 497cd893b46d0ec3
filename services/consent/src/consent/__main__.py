"""Composition root: settings, wiring, run."""

from consent import tables
from consent.api import build_router
from consent.handlers import HANDLERS, TIMERS
from consent.recovery import RECOVERY
from consent.repository import ConsentRepository
from consent.rule_document import default_rules_text, parse_rules
from consent.settings import ConsentSettings
from shared.documents import DocumentStore
from shared.runtime import Consumer, Service, run_service


def build_service(settings: ConsentSettings) -> Service[ConsentRepository]:
    """Wire the service."""
    rules = DocumentStore("consent_rules", parse_rules, default=default_rules_text())
    pepper = settings.pepper_bytes()
    return Service(
        name="consent",
        settings=settings,
        repository=lambda sql: ConsentRepository(sql, rules, pepper),
        metadata=tables.METADATA,
        consumers=(Consumer("consent", HANDLERS),),
        timers=TIMERS,
        documents=(rules,),
        build_router=build_router,
        recovery=RECOVERY,
    )


def main() -> None:
    """Run the service until it is told to stop."""
    run_service(build_service(ConsentSettings()))


if __name__ == "__main__":
    main()
