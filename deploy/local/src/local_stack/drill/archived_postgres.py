"""A local PostgreSQL that keeps a base backup and an archive of its write-ahead log, and can be restored from them."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import asyncpg
import psutil

from local_stack.blocking import run_blocking
from local_stack.children import Child
from local_stack.failure import StackError
from local_stack.ports import LOOPBACK
from local_stack.postgres import SUPERUSER, Postgres

COPY_SECONDS = 120.0
ARCHIVE_SECONDS = 60.0
RECOVERY_SECONDS = 120.0
POLL_SECONDS = 0.05


class ArchivedPostgres(Postgres):
    """`Postgres` with what an operator has beside it: somewhere else to restore from."""

    def __init__(self, data_dir: Path, logs: Path, *, fsync: bool = True) -> None:
        super().__init__(data_dir, logs, fsync=fsync)
        self._archive = self._own_folder("archive")
        self._backup = self._home / "backup"
        self._options = [
            "archive_mode=on",
            # Never over a file that is there: two servers that archive to one folder would spoil each other's log.
            f"archive_command=test ! -f {self._archive}/%f && cp %p {self._archive}/%f",
        ]

    def take_base_backup(self) -> None:
        """Copy the running cluster with pg_basebackup. The log since its start is in the archive."""
        shutil.rmtree(self._backup, ignore_errors=True)
        options = ["--checkpoint=fast", "--wal-method=none", "--no-sync", "--no-password"]
        self._run(
            "pg_basebackup",
            [self._programs / "pg_basebackup", f"--pgdata={self._backup}", f"--host={LOOPBACK}",
             f"--port={self._port}", f"--username={SUPERUSER}", *options],
            {"PGPASSWORD": self._password_file.read_text("ascii")},
        )  # fmt: skip

    def close_archive(self) -> None:
        """Return when the archive holds everything that is committed now (``archive_timeout`` does so by itself)."""
        run_blocking(self._close_archive())

    def lose(self) -> None:
        """Kill the server, and delete its cluster as a lost disk does."""
        for child in self.children:
            processes = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
            child.send(signal.SIGKILL)
            for process in processes[1:]:
                if process.is_running():
                    process.kill()
            child.end_within(5)
            psutil.wait_procs(processes[1:], timeout=5)
        shutil.rmtree(self._cluster)

    def restore(self, to: datetime) -> None:
        """Make the cluster anew from base backup and archive, as it was at the instant *to*; return once it is ready.

        Errors: `StackError` when the archive does not reach that far.
        """
        self._run("cp", ["/bin/cp", "-a", self._backup, self._cluster], {})
        signal_file = self._cluster / "recovery.signal"
        signal_file.touch()
        if self._account:
            os.chown(signal_file, *self._account)
        normal = self._options
        self._options = [
            *normal,
            f"restore_command=cp {self._archive}/%f %p",
            f"recovery_target_time={to.isoformat()}",
            "recovery_target_action=promote",
        ]
        self.launch()
        self._options = normal
        self.wait_ready()
        run_blocking(self._until_promoted())

    def _own_folder(self, name: str) -> Path:
        folder = self._home / name
        folder.mkdir(exist_ok=True, mode=0o700)
        if self._account:
            os.chown(folder, *self._account)
        return folder

    def _run(self, name: str, program: Sequence[str | Path], environment: dict[str, str]) -> None:
        child = Child(
            name,
            program,
            log=self._logs / f"{name}.log",
            account=self._account,
            env={"PATH": os.defpath, "TZ": "UTC", **environment},
            cwd=self._home,
        )
        child.finish(COPY_SECONDS)

    async def _close_archive(self) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            wanted = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
            deadline = time.monotonic() + ARCHIVE_SECONDS
            while not (self._archive / wanted).exists():
                if time.monotonic() > deadline:
                    raise StackError(f"{wanted} is not in the archive after {ARCHIVE_SECONDS:.0f} s; see the log")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await connection.close()

    async def _until_promoted(self) -> None:
        deadline = time.monotonic() + RECOVERY_SECONDS
        connection = await asyncpg.connect(self.url)
        try:
            while await connection.fetchval("SELECT pg_is_in_recovery()"):
                if time.monotonic() > deadline:
                    raise StackError(f"PostgreSQL still recovers after {RECOVERY_SECONDS:.0f} s")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await connection.close()
