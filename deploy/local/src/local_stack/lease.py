"""Servers that test processes share: the first that needs them starts them, the end of the last one stops them.

The parallel workers of one test run, and several runs in one checkout, use the same two servers; each test module has
a database and topic names of its own. Every user holds a shared lock on one file, and the process that holds the
servers waits for the exclusive one: the kernel counts the users, so a killed user counts as gone.

``python -m local_stack.lease FOLDER`` is that process.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from local_stack.failure import StackError
from local_stack.stack import running_servers


class ServerUrls(NamedTuple):
    """Where the shared servers answer; the database URL is the superuser's."""

    database_url: str
    kafka_bootstrap_servers: str


@contextmanager
def keeping_servers(home: Path) -> Iterator[None]:
    """Keep the servers of *home* up if anybody starts them; start none."""
    with _locked(home / "users.lock", fcntl.LOCK_SH):
        yield


@contextmanager
def leased_servers(home: Path) -> Iterator[ServerUrls]:
    """Yield running servers, started now unless another process has; they stop after their last user's end."""
    with keeping_servers(home):
        yield _running_or_started(home)


def _running_or_started(home: Path) -> ServerUrls:
    with _locked(home / "start.lock", fcntl.LOCK_EX):
        urls = home / "servers.json"
        if _is_locked(home / "holder.lock") and urls.exists():
            return ServerUrls(**json.loads(urls.read_text("utf-8")))
        urls.unlink(missing_ok=True)
        log = home / "holder.log"
        readable, writable = os.pipe()
        try:
            with log.open("wb") as output:
                holder = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-m", "local_stack.lease", str(home)],
                    stdin=subprocess.DEVNULL,
                    stdout=writable,
                    stderr=output,
                    start_new_session=True,
                )
        finally:
            os.close(writable)
        with os.fdopen(readable, "rb") as said:
            ready = said.readline()  # empty when it ended instead
        if not ready:
            holder.wait()
            raise StackError(f"The test servers did not start: {log.read_text('utf-8').strip()[-2000:]}")
        holder.returncode = 0  # it outlives us on purpose; unset, Popen warns of a child nobody waited for
        return ServerUrls(**json.loads(urls.read_text("utf-8")))


def hold(home: Path) -> None:
    """Start the servers of *home* on empty data, say ``ready`` on stdout, stop them when no user is left."""
    data = home / "data"
    with _locked(home / "holder.lock", fcntl.LOCK_EX):
        shutil.rmtree(data, ignore_errors=True)
        with running_servers(data, fsync=os.environ.get("LEADRAIL_PG_FSYNC") != "off") as servers:
            urls = ServerUrls(servers.database_url, servers.kafka_bootstrap_servers)
            partial = home / "servers.json.partial"
            partial.touch(mode=0o600)
            partial.write_text(json.dumps(urls._asdict()), "utf-8")
            partial.rename(home / "servers.json")
            os.write(1, b"ready\n")
            # From here a user that comes waits until this process has ended, and then starts another.
            users = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(users, fcntl.LOCK_EX)
            (home / "servers.json").unlink(missing_ok=True)
        if servers.postgres:
            servers.postgres.forget()
        shutil.rmtree(data, ignore_errors=True)


@contextmanager
def _locked(file: Path, kind: int) -> Iterator[None]:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _is_locked(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


if __name__ == "__main__":
    try:
        hold(Path(sys.argv[1]))
    except StackError as error:
        sys.exit(str(error))
