"""Child processes that cannot outlive the process that started them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from local_stack.failure import StackError

LEASH = Path(__file__).with_name("leash.py")
LOG_TAIL_BYTES = 2_000


class Child:
    """A running program, in a process group of its own so that Ctrl-C reaches only the supervisor.

    Start children from a thread that lives as long as they shall: the kernel's parent-death signal fires when that
    thread ends, not when the process does.
    """

    def __init__(
        self,
        name: str,
        program: Sequence[str | Path],
        *,
        log: Path,
        death_signal: signal.Signals = signal.SIGKILL,
        account: tuple[int, int] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        uid, gid = account or ("-", "-")
        tied = [sys.executable, "-I", "-S", LEASH, death_signal.value, os.getpid(), uid, gid, *program]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the program is ours
                [str(word) for word in tied],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def started_at(self) -> float | None:
        """Return the kernel's start time in epoch seconds: with the pid it names this process and no later one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).create_time()
        return None

    def exit_code(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    def check_running(self) -> None:
        """Raise StackError with the end of its log when it has ended."""
        if (code := self.exit_code()) is not None:
            raise StackError(f"{self.name} ended with exit code {code}; the end of {self.log} says:\n{self.log_tail()}")

    def finish(self, seconds: float) -> None:
        """Wait for its end; raise StackError unless it ended well within *seconds*."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            self.stop(signal.SIGKILL, 5)
            raise StackError(f"{self.name} did not finish within {seconds:.0f} s; see {self.log}") from error
        if code != 0:
            self.check_running()

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        with contextlib.suppress(OSError):
            return self.log.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        return "(no log)"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self, number: signal.Signals, seconds: float) -> None:
        """Ask it to end with *number*; kill its whole group when it has not within *seconds*."""
        self.send(number)
        self.end_within(seconds)

    def end_within(self, seconds: float) -> None:
        """Wait for its end; kill its whole group when it has not ended within *seconds*."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
