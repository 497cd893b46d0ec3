"""Where and of what the numbers are: commit, versions, processor, disk."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

from local_stack.artifacts import locked_jars
from local_stack.bench.percentiles import percentile
from local_stack.checkout import ROOT

SYNCS = 100


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """``fsync_ms``: median of writing 8 KB and forcing it to the disk that the data is on."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    kafka: str
    packages: dict[str, str]
    fsync_ms: float


def describe_machine(data_dir: Path) -> Machine:
    """Return what this machine is, and what its disk under *data_dir* takes to keep a promise."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        kafka=next((jar.version for jar in locked_jars() if jar.artifact == "kafka-server"), "unknown"),
        packages={name: version(name) for name in ("aiokafka", "asyncpg", "msgspec", "uvicorn", "uvloop")},
        fsync_ms=_sync_milliseconds(data_dir),
    )


def commit() -> str:
    """Return the checkout's commit, ``+`` behind it when files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603, S607 - no shell
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _sync_milliseconds(folder: Path) -> float:
    probe = folder / "fsync-probe"
    took: list[float] = []
    try:
        with probe.open("wb", buffering=0) as file:
            for _ in range(SYNCS):
                began = time.perf_counter()
                file.write(b"\0" * 8192)
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    finally:
        probe.unlink(missing_ok=True)
    return round(1000 * percentile(sorted(took), 0.5), 3)
