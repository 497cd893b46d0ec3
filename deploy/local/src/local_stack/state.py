"""What is running for a data folder: readable by every command, gone or recognised as stale after a crash."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from local_stack.failure import StackError

START_TIME_SLACK = 0.02  # seconds; the kernel counts start times in ticks of 10 ms
STOP_POLL_SECONDS = 0.05


class ProcessRecord(msgspec.Struct, frozen=True):
    """One process; the start time tells it from a later process with the same pid."""

    name: str
    pid: int
    started_at: float
    url: str = ""
    log: str = ""

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) <= START_TIME_SLACK
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class StackState(msgspec.Struct, frozen=True):
    """The supervisor, its children and where things answer."""

    supervisor: ProcessRecord
    database_url: str
    kafka_bootstrap_servers: str
    processes: list[ProcessRecord]
    is_shared: bool = False
    """Whether other commands may use it: that of `up` they may, one that is measured they must not disturb."""

    @property
    def service_urls(self) -> dict[str, str]:
        """Return the base URL of each service by its name."""
        return {process.name: process.url for process in self.processes if process.url.startswith("http")}


def this_process() -> ProcessRecord:
    """Return the record of the calling process."""
    return ProcessRecord("supervisor", os.getpid(), psutil.Process().create_time())


def write_state(data_dir: Path, state: StackState) -> None:
    """Replace the state file. It holds a database password: only its owner may read it."""
    partial = data_dir / "stack.json.partial"
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    partial.rename(data_dir / "stack.json")


def read_state(data_dir: Path) -> StackState | None:
    """Return the state of the running stack; None when none runs, also after a crash."""
    state = _recorded(data_dir)
    return state if state is not None and state.supervisor.find() else None


def _recorded(data_dir: Path) -> StackState | None:
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode((data_dir / "stack.json").read_bytes(), type=StackState)
    return None


@contextmanager
def only_stack(data_dir: Path) -> Iterator[None]:
    """Be the only stack on *data_dir*; raise StackError when one runs there.

    The kernel gives the lock back when its holder dies, so a crashed run never blocks the next. What such a run left
    running (where the kernel has no parent-death signal) is killed here.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "stack.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = _recorded(data_dir)
            who = f" (pid {state.supervisor.pid})" if state else ""
            raise StackError(
                f"The stack of this checkout is already running{who}: `make status` shows it, `make down` stops it."
            ) from None
        if stale := _recorded(data_dir):
            kill_leftovers(stale)
        try:
            yield
        finally:
            (data_dir / "stack.json").unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def kill_leftovers(state: StackState) -> list[str]:
    """Kill what still runs of a crashed run; return the names."""
    found = [(record.name, process) for record in state.processes if (process := record.find())]
    for _, process in found:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    psutil.wait_procs([process for _, process in found], timeout=10)
    return [name for name, _ in found]


def stop_running(state: StackState, seconds: float = 60) -> None:
    """Ask the supervisor of *state* to stop and return when everything has ended."""
    deadline = time.monotonic() + seconds
    if process := state.supervisor.find():
        process.send_signal(signal.SIGTERM)
    while state.supervisor.find():
        if time.monotonic() > deadline:
            raise StackError(f"The stack (pid {state.supervisor.pid}) did not stop within {seconds:.0f} s.")
        time.sleep(STOP_POLL_SECONDS)
