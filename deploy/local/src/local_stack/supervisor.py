"""The whole stack: servers, provisioning, services; started in order, stopped in reverse, whatever happens."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from local_stack.checkout import shared_cache
from local_stack.children import Child
from local_stack.ports import LOOPBACK, port_claims
from local_stack.provision import provision
from local_stack.services import SERVICES, RunningService, choose_ports, start_service, stop_services
from local_stack.stack import Servers, running_servers
from local_stack.state import ProcessRecord, StackState, only_stack, this_process, write_state

WATCH_SECONDS = 0.5

Say = Callable[[str], None]


class RunningStack(NamedTuple):
    """A stack that answers."""

    servers: Servers
    services: dict[str, RunningService]
    environment: Mapping[str, str]

    @property
    def urls(self) -> dict[str, str]:
        """Return the base URL of each service by its name."""
        return {name: service.url for name, service in self.services.items()}

    @property
    def children(self) -> list[Child]:
        """Return every process that we started."""
        return [*self.servers.children, *(service.child for service in self.services.values())]


@contextmanager
def running_stack(
    data_dir: Path,
    *,
    environment: Mapping[str, str] | None = None,
    with_services: bool = True,
    is_shared: bool = False,
    say: Say = print,
) -> Iterator[RunningStack]:
    """Start everything on *data_dir*, yield when every part answers, stop everything at the end; the data is kept.

    *environment* is added to what the services get. Without services nothing is provisioned either. *is_shared* lets
    other commands of this checkout use the stack. SIGTERM and SIGHUP end the block like Ctrl-C does. Raises StackError,
    with a sentence for a person, when a part does not start or the stack runs already.
    """
    began = time.monotonic()
    with ExitStack() as cleanup:
        cleanup.enter_context(only_stack(data_dir))
        cleanup.enter_context(_signals_as_interrupts())
        record = partial(_record, data_dir, is_shared=is_shared)
        record(None, [])
        servers = cleanup.enter_context(running_servers(data_dir))
        say(f"PostgreSQL and Kafka answer ({time.monotonic() - began:.1f} s).")
        record(servers, [])
        running: list[RunningService] = []
        environment = dict(environment or {})
        if with_services:
            environment = {**provision(data_dir, servers), **environment}
            say(f"Database, topics and keys are ready ({time.monotonic() - began:.1f} s).")
            cleanup.callback(stop_services, running)
            claim = cleanup.enter_context(port_claims(shared_cache() / "ports"))
            ports = choose_ports(os.environ, claim)
            environment = {**_defaults(ports["ingest"]), **environment}
            for service in SERVICES:
                running.append(  # noqa: PERF401 - whatever was started is stopped, also when the next one fails
                    start_service(service, port=ports[service.name], environment=environment, logs=data_dir / "logs")
                )
            record(servers, running)
            for one in running:
                one.wait_ready()
            say(f"All services are ready ({time.monotonic() - began:.1f} s).")
        yield RunningStack(servers, {one.service.name: one for one in running}, environment)


def watch(stack: RunningStack, say: Say = print) -> None:
    """Return never: wait for an interrupt, tell of each service that ends, raise StackError when a server does."""
    told: set[str] = set()
    while True:
        for child in stack.servers.children:
            child.check_running()
        for name, service in stack.services.items():
            if name not in told and (code := service.child.exit_code()) is not None:
                told.add(name)
                say(f"{name} ended with exit code {code}; the end of {service.child.log} says:")
                say(service.child.log_tail())
        time.sleep(WATCH_SECONDS)


def _defaults(ingest_port: int) -> dict[str, str]:
    """Return what our services get unless the caller or the environment says otherwise."""
    defaults = {
        # Some senders sign the full URL: ingest must know the one they really post to.
        "INGEST_PUBLIC_URL": f"http://{LOOPBACK}:{ingest_port}",
        # A CRM under development, and the demo's, is on this machine.
        "ROUTING_ALLOWED_PRIVATE_TARGETS": "127.0.0.0/8",
    }
    return {name: os.environ.get(name, value) for name, value in defaults.items()}


def _record(data_dir: Path, servers: Servers | None, running: list[RunningService], *, is_shared: bool) -> None:
    urls = {id(one.child): one.url for one in running}
    children = [*(servers.children if servers else ()), *(one.child for one in running)]
    write_state(
        data_dir,
        StackState(
            supervisor=this_process(),
            database_url=servers.database_url if servers else "",
            kafka_bootstrap_servers=servers.kafka_bootstrap_servers if servers else "",
            processes=[
                ProcessRecord(child.name, child.pid, child.started_at or 0.0, urls.get(id(child), ""), str(child.log))
                for child in children
            ],
            is_shared=is_shared,
        ),
    )


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM (``make down``) and SIGHUP (a closed terminal) clean up like Ctrl-C."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
