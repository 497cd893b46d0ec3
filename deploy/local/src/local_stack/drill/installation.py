"""The drill's own servers, services and CRM: lost, restored and started again, all on one folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx

from local_stack.blocking import run_blocking
from local_stack.children import Child
from local_stack.drill.archived_postgres import ArchivedPostgres
from local_stack.failure import StackError
from local_stack.kafka import Kafka
from local_stack.keys import admin_key
from local_stack.load.setup import Setup, set_up
from local_stack.ports import LOOPBACK, free_ports
from local_stack.provision import kept_secret, provision_servers
from local_stack.services import SERVICES, RunningService, service_environment, start_service, stop_services
from shared.clock import format_instant

PUBLIC_URL = "https://leads.example.com"
RECOVERED = ("ingest", "consent", "routing")
COMMAND_SECONDS = 120.0
CRM_SECONDS = 30.0


class Installation:
    """Everything that runs during the drill."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.postgres = ArchivedPostgres(folder, self.logs, fsync=fsync)
        self.kafka = Kafka(folder, self.logs)
        self.ports = dict(zip((one.name for one in SERVICES), free_ports(len(SERVICES)), strict=True))
        self.urls = {name: f"http://{LOOPBACK}:{port}" for name, port in self.ports.items()}
        self.callbacks = folder / "callbacks.ndjson"
        self.crm_url = f"http://{LOOPBACK}:{free_ports(1)[0]}/callbacks"
        self.environment: Mapping[str, str] = {}
        self.services: list[RunningService] = []
        self._crm: Child | None = None
        self._setup: Setup | None = None

    @property
    def setup(self) -> Setup:
        """Return what senders need to know."""
        assert self._setup is not None, "start comes first"
        return self._setup

    @property
    def database_url(self) -> str:
        """Return the superuser's URL."""
        return self.postgres.url

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of an admin's request."""
        return {"Authorization": f"Bearer {admin_key(self.folder, self.database_url)}"}

    def start(self) -> None:
        """Start servers, services and CRM for the first time."""
        for server in (self.postgres, self.kafka):
            server.prepare()
        for server in (self.postgres, self.kafka):
            server.launch()
        for server in (self.postgres, self.kafka):
            server.wait_ready()
        secret_key = kept_secret(self.folder, "secret-key")
        self.environment = {
            **provision_servers(
                self.database_url, self.kafka.bootstrap_servers, secret_key=secret_key, topic_prefix=""
            ),
            "INGEST_PUBLIC_URL": PUBLIC_URL,
            "ROUTING_ALLOWED_PRIVATE_TARGETS": LOOPBACK,
        }
        self.start_services()
        key = admin_key(self.folder, self.database_url)
        self._setup = run_blocking(
            set_up(self.urls, key, secret_key=secret_key, public_url=PUBLIC_URL, crm_url=self.crm_url)
        )
        self._start_crm(self._setup.crm_secret)

    def start_services(self) -> None:
        """Start the five services and return when all are ready."""
        self.services = [
            start_service(one, port=self.ports[one.name], environment=self.environment, logs=self.logs)
            for one in SERVICES
        ]
        for service in self.services:
            service.wait_ready()

    def kill_services(self) -> None:
        """Kill the services: with both servers gone there is nothing left that they could do."""
        for service in self.services:
            service.child.stop(signal.SIGKILL, 5)

    def kill_kafka(self) -> None:
        """Kill the broker; its log is kept."""
        for child in self.kafka.children:
            child.stop(signal.SIGKILL, 10)

    def recover_services(self, since: datetime) -> None:
        """Run ``SERVICE recover --since`` for each service that has something to learn, with its own settings."""
        with ThreadPoolExecutor(len(RECOVERED)) as at_once:
            commands = [
                at_once.submit(
                    _run,
                    [sys.executable, "-m", one.module, "recover", "--since", format_instant(since)],
                    service_environment(one, self.ports[one.name], inherited=os.environ, added=self.environment),
                )
                for one in SERVICES
                if one.name in RECOVERED
            ]
        for command in commands:
            command.result()

    def rewind_consumers(self, to: datetime) -> None:
        """Run ``leadrail consumers rewind`` for every consumer group."""
        environment = {**os.environ, **self.environment, "DATABASE_URL": self.database_url}
        rewind = ["consumers", "rewind", "--all", "--to", format_instant(to), "--why", "restore drill"]
        _run([sys.executable, "-m", "shared.cli", *rewind], environment)

    def flush_callbacks(self) -> None:
        """Have the CRM write down what it took. Errors: `StackError` if it refused a signature."""
        with httpx.Client(trust_env=False, timeout=10) as client:
            if refused := client.get(self.crm_url).json()["refused"]:
                raise StackError(f"The CRM refused {refused} signatures.")

    def stop(self) -> None:
        """Stop everything."""
        stop_services(self.services)
        if self._crm is not None:
            self._crm.stop(signal.SIGTERM, 5)
        self.kafka.stop()
        self.postgres.stop()

    def _start_crm(self, secret: str) -> None:
        port = str(httpx.URL(self.crm_url).port)
        self._crm = crm = Child(
            "CRM",
            [sys.executable, "-m", "local_stack.load.crm", "--port", port, "--secret", secret, "--out", self.callbacks],
            log=self.logs / "crm.log",
            env=os.environ,
        )
        deadline = time.monotonic() + CRM_SECONDS
        while "http" not in crm.log_tail():  # it prints its address once it listens
            crm.check_running()
            if time.monotonic() > deadline:
                raise StackError(f"The CRM does not listen; see {crm.log}")
            time.sleep(0.05)


@contextmanager
def running_installation(folder: Path, *, fsync: bool) -> Iterator[Installation]:
    """Yield a started installation; stop all of it at the end."""
    installation = Installation(folder, fsync=fsync)
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    finished = subprocess.run(  # noqa: S603 - our own command lines
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if finished.returncode:
        said = (finished.stderr.strip() or finished.stdout.strip())[-800:]
        raise StackError(f"`{' '.join(command[2:])}` failed: {said}")
