"""Our helper processes that are spoken to over stdin and stdout, a line at a time."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local_stack.children import LEASH
from local_stack.failure import StackError

STOP_SECONDS = 10.0


class Helper:
    """A running helper."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def tell(self, line: bytes) -> None:
        """Write one line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def hear(self) -> str:
        """Return its next line. Errors: StackError when it ends instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            code = await self._process.wait()
            raise StackError(f"{self.name} ended with exit code {code} instead of answering; its error is above.")
        return line.decode().strip()

    def check_running(self) -> None:
        """Errors: StackError when it has ended."""
        if self._process.returncode is not None:
            raise StackError(f"{self.name} ended with exit code {self._process.returncode}; its error is above.")

    async def stop(self) -> None:
        """Ask it to end, and make sure that it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def helper(module: str, *arguments: str | Path, name: str = "") -> AsyncIterator[Helper]:
    """Run ``python -m MODULE`` until the block ends. It dies with us, whatever happens."""
    tied = [LEASH, signal.SIGKILL.value, os.getpid(), "-", "-", sys.executable, "-m", module, *arguments]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        *(str(word) for word in tied),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    started = Helper(name or module.rpartition(".")[2], process)
    try:
        yield started
    finally:
        if process.returncode is None:
            await started.stop()
