"""The five services as child processes."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx

from local_stack.children import Child
from local_stack.failure import StackError
from local_stack.ports import LOOPBACK, Claim, free_ports, is_free

READY_SECONDS = 60.0
RETRY_SECONDS = 0.1
DRAIN_SECONDS = 25.0  # a service drains for 20 s at most, then leaves its group


class Service(NamedTuple):
    """One of the five: its name everywhere, its Python module, the prefix of its settings, its documented port."""

    name: str
    module: str
    prefix: str
    default_port: int


SERVICES = (
    Service("ingest", "ingest", "INGEST_", 8001),
    Service("scoring", "scoring", "SCORING_", 8002),
    Service("consent", "consent", "CONSENT_", 8003),
    Service("routing", "routing", "ROUTING_", 8004),
    Service("sla-monitor", "sla_monitor", "SLA_MONITOR_", 8005),
)


class RunningService:
    """A started service."""

    def __init__(self, service: Service, port: int, child: Child) -> None:
        self.service = service
        self.child = child
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when it says that it can do its job."""
        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False, timeout=5) as client:
            while True:
                self.child.check_running()
                try:
                    answer = client.get(f"{self.url}/readyz")
                    if answer.is_success:
                        return
                    problem = f"/readyz answers {answer.status_code}: {answer.text[:300]}"
                except httpx.TransportError as error:
                    problem = f"/readyz does not answer ({type(error).__name__})"
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{self.service.name} is not ready after {seconds:.0f} s: {problem}; see {self.child.log}"
                    )
                time.sleep(RETRY_SECONDS)


def choose_ports(environ: Mapping[str, str], claim: Claim = lambda _: True) -> dict[str, int]:
    """Return a port per service: ``<PREFIX>PORT`` of *environ*, else the documented one if free, else a free one.

    *claim* is asked for each documented one: False means that another stack is about to use it.
    """
    chosen: dict[str, int] = {}
    spare = free_ports(len(SERVICES))
    for service in SERVICES:
        variable = f"{service.prefix}PORT"
        if wanted := environ.get(variable):
            if not wanted.isdecimal() or not 0 < int(wanted) < 65_536:
                raise StackError(f"{variable} is {wanted!r} and must be a port number from 1 to 65535.")
            if not is_free(int(wanted)):
                raise StackError(
                    f"{variable} is {wanted}, which another program uses: stop that one or choose another."
                )
            chosen[service.name] = int(wanted)
        elif claim(service.default_port) and is_free(service.default_port):
            chosen[service.name] = service.default_port
        else:
            chosen[service.name] = spare.pop()
    return chosen


def service_environment(
    service: Service, port: int, *, inherited: Mapping[str, str], added: Mapping[str, str]
) -> dict[str, str]:
    """Return what *service* gets: all of both, but no database URL other than its own.

    Neither the superuser's nor another service's: a service that works here works with its own role in production.
    """
    foreign = {"DATABASE_URL", *(f"{one.prefix}DATABASE_URL" for one in SERVICES if one.name != service.name)}
    return {
        **{name: value for name, value in {**inherited, **added}.items() if name not in foreign},
        "PYTHONUNBUFFERED": "1",
        f"{service.prefix}HOST": LOOPBACK,
        f"{service.prefix}PORT": str(port),
    }


def start_service(service: Service, *, port: int, environment: Mapping[str, str], logs: Path) -> RunningService:
    """Start one service; it may not be ready yet. *environment* is added to ours."""
    child = Child(
        service.name,
        [sys.executable, "-m", service.module],
        log=logs / f"{service.name}.log",
        env=service_environment(service, port, inherited=os.environ, added=environment),
    )
    return RunningService(service, port, child)


def stop_services(running: list[RunningService]) -> None:
    """Let all drain at the same time, then make sure that all have ended."""
    for one in running:
        one.child.send(signal.SIGTERM)
    for one in running:
        one.child.end_within(DRAIN_SECONDS)
