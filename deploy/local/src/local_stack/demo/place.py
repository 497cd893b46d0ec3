"""Where the demo runs: on the stack that ``make up`` runs for this checkout, else on one of its own."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from local_stack.failure import StackError
from local_stack.keys import admin_key
from local_stack.provision import kept_secret
from local_stack.services import SERVICES
from local_stack.state import StackState, read_state
from local_stack.supervisor import Say, running_stack

ENVIRONMENT = {"ROUTING_ALLOWED_PRIVATE_TARGETS": "127.0.0.0/8"}  # the demo's CRM is on this machine


class Place(NamedTuple):
    """Running services and what it takes to use them.

    ``secret_key``: what the senders' secrets are made from. ``public_url``: ingest's, as senders see and sign it.
    ``is_alone``: nobody but the demo posts here. ``check_running``: raises StackError once a part has ended.
    """

    urls: Mapping[str, str]
    admin_key: str
    secret_key: str
    public_url: str
    logs: Path
    is_alone: bool
    check_running: Callable[[], None]


@contextmanager
def demo_place(data_dir: Path, say: Say) -> Iterator[Place]:
    """Yield services that answer; stop at the end what was started here. Errors: `StackError`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with _only_demo(data_dir):
        state = read_state(data_dir)
        if state is not None and state.is_shared:
            say("Using the stack that `make up` runs.")
            yield _place_on(data_dir, state)
            return
        with running_stack(data_dir, environment=ENVIRONMENT, say=say) as stack:

            def check_running() -> None:
                for child in stack.children:
                    child.check_running()

            yield Place(
                urls=stack.urls,
                admin_key=admin_key(data_dir, stack.servers.database_url),
                secret_key=stack.environment["LEADRAIL_SECRET_KEY"],
                public_url=stack.environment["INGEST_PUBLIC_URL"],
                logs=data_dir / "logs",
                is_alone="DATABASE_URL" not in os.environ,
                check_running=check_running,
            )


def _place_on(data_dir: Path, state: StackState) -> Place:
    urls = state.service_urls
    for service in SERVICES:
        if not _is_ready(urls.get(service.name)):
            raise StackError(
                f"The running stack has no {service.name} that is ready: `make status` shows what runs; wait until"
                " `make up` says that all services are ready, or stop it with `make down`."
            )

    def check_running() -> None:
        for process in state.processes:
            if process.find() is None:
                raise StackError(f"{process.name} has ended; its log is {process.log}")

    return Place(
        urls=urls,
        admin_key=admin_key(data_dir, state.database_url),
        secret_key=os.environ.get("LEADRAIL_SECRET_KEY") or kept_secret(data_dir, "secret-key"),
        public_url=os.environ.get("INGEST_PUBLIC_URL") or urls["ingest"],
        logs=data_dir / "logs",
        is_alone=False,
        check_running=check_running,
    )


@contextmanager
def _only_demo(data_dir: Path) -> Iterator[None]:
    """Two demos on one stack would take each other's CRM away."""
    descriptor = os.open(data_dir / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StackError("A demo runs in this checkout already: wait for its end.") from None
    finally:
        os.close(descriptor)


def _is_ready(url: str | None) -> bool:
    if url is None:
        return False
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
