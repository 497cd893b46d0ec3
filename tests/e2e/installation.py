"""An installation of one test module: services as processes on free ports, its sources and reps, and a CRM."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from local_stack.blocking import run_blocking
from local_stack.children import Child
from local_stack.keys import admin_key
from local_stack.load.setup import Setup, set_up
from local_stack.ports import LOOPBACK, free_ports
from local_stack.services import SERVICES, RunningService, start_service, stop_services

CRM_SECONDS = 30.0
NAMES = tuple(service.name for service in SERVICES)
PUBLIC_URL = "https://leads.example.com"
ENVIRONMENT = {
    "INGEST_PUBLIC_URL": PUBLIC_URL,
    "ROUTING_ALLOWED_PRIVATE_TARGETS": LOOPBACK,
    # What a killed worker had in hand is sent again after this long; a test cannot wait for the default minute.
    "ROUTING_CALLBACK_LEASE_SECONDS": "5",
    "ROUTING_CALLBACK_TIMEOUT_SECONDS": "4",
}


class Installation:
    """Running services. ``database_url`` is the superuser's: what a test compares with, it reads by itself."""

    def __init__(self, folder: Path, database_url: str, environment: Mapping[str, str], names: Sequence[str]) -> None:
        self.folder = folder
        self.database_url = database_url
        self.environment = {**ENVIRONMENT, **environment}
        self.kafka = environment["KAFKA_BOOTSTRAP_SERVERS"]
        self.prefix = environment["KAFKA_TOPIC_PREFIX"]
        self.logs = folder / "logs"
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.services: dict[str, RunningService] = {}
        self.replicas: list[RunningService] = []
        self.setup: Setup | None = None
        self.crm: Child | None = None
        self.crm_url = f"http://{LOOPBACK}:{free_ports(1)[0]}/callbacks"

    @cached_property
    def key(self) -> str:
        """The admin's API key; made when it is first asked for, while the services start."""
        return admin_key(self.folder, self.database_url)

    @property
    def urls(self) -> dict[str, str]:
        return {name: f"http://{LOOPBACK}:{port}" for name, port in self.ports.items()}

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def start(self, *names: str, environment: Mapping[str, str] | None = None) -> None:
        """Start services; they may not be ready yet. From the main thread only: children end with their thread."""
        for service in SERVICES:
            if service.name in names:
                self.services[service.name] = start_service(
                    service,
                    port=self.ports[service.name],
                    environment={**self.environment, **(environment or {})},
                    logs=self.logs,
                )

    def start_replica(self, name: str, environment: Mapping[str, str] | None = None) -> RunningService:
        """Start one more *name* on a port and with a log of its own; it may not be ready yet. Main thread only."""
        [service] = [one for one in SERVICES if one.name == name]
        [port] = free_ports(1)
        replica = start_service(
            service,
            port=port,
            environment={**self.environment, **(environment or {})},
            logs=self.logs / f"replica-{len(self.replicas) + 1}",
        )
        self.replicas.append(replica)
        return replica

    def wait_ready(self, *names: str) -> None:
        for name in names:
            self.services[name].wait_ready()

    def kill(self, name: str) -> None:
        child = self.services[name].child
        child.check_running()
        child.send(signal.SIGKILL)
        child.end_within(5)

    def stop(self) -> None:
        """Let all services drain."""
        stop_services([*self.services.values(), *self.replicas])

    def exit_codes(self) -> dict[str, int | None]:
        return {name: service.child.exit_code() for name, service in self.services.items()}

    def prepare(self) -> None:
        """Make the sources, the reps and the CRM."""
        self.setup = run_blocking(
            set_up(
                self.urls,
                self.key,
                secret_key=self.environment["LEADRAIL_SECRET_KEY"],
                public_url=PUBLIC_URL,
                crm_url=self.crm_url,
            )
        )
        port = httpx.URL(self.crm_url).port
        self.crm = Child(
            "CRM",
            [sys.executable, "-m", "local_stack.load.crm", "--port", str(port), "--secret", self.setup.crm_secret,
             "--out", self.folder / "callbacks.ndjson"],
            log=self.logs / "crm.log",
            env=os.environ,
        )  # fmt: skip
        self._wait_for_crm(self.crm)

    def _wait_for_crm(self, crm: Child) -> None:
        deadline = time.monotonic() + CRM_SECONDS
        while "http" not in crm.log_tail():  # it prints its address once it listens
            crm.check_running()
            assert time.monotonic() < deadline, f"the CRM does not listen; see {crm.log}"
            time.sleep(0.05)

    def read_callbacks(self) -> list[dict[str, Any]]:
        """Return the verified callbacks that the CRM has received: id, digest, body."""
        with httpx.Client(trust_env=False) as client:
            assert client.get(self.crm_url).json()["refused"] == 0, "the CRM refused a signature"
        lines = (self.folder / "callbacks.ndjson").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def log_of(self, name: str) -> str:
        return self.services[name].child.log.read_text("utf-8", "replace")

    def close(self) -> None:
        self.stop()
        if self.crm is not None:
            self.crm.stop(signal.SIGTERM, 5)


@contextmanager
def running_installation(
    folder: Path, database_url: str, environment: Mapping[str, str], names: Sequence[str] = NAMES
) -> Iterator[Installation]:
    """Start the services *names*, prepare sources, reps and a CRM, yield; stop everything at the end."""
    installation = Installation(folder, database_url, environment, names)
    try:
        installation.start(*names)
        assert installation.key
        installation.wait_ready(*names)
        installation.prepare()
        yield installation
    finally:
        installation.close()
