"""CPU and memory of the processes of the stack, by name."""

import contextlib
from collections.abc import Mapping

import msgspec
import psutil


class Usage(msgspec.Struct, frozen=True):
    """What one part has used so far. ``cpu``: seconds, of ended children as well. ``memory``: resident bytes now."""

    cpu: float
    memory: int


def measure(pids: Mapping[str, int]) -> dict[str, Usage]:
    """Return the use of each part, its child processes included (PostgreSQL's backends). A part that ended is absent.

    Memory of children is what they do not share: each backend maps the same shared buffers.
    """
    used: dict[str, Usage] = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            times = process.cpu_times()
            cpu = times.user + times.system + times.children_user + times.children_system
            memory = process.memory_info().rss
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    of_child = child.cpu_times()
                    cpu += of_child.user + of_child.system
                    info = child.memory_info()
                    memory += max(0, info.rss - info.shared)
            used[name] = Usage(cpu, memory)
    return used


def cpu_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Return the CPU seconds of each part that ran all the time."""
    return {name: after[name].cpu - used.cpu for name, used in before.items() if name in after}
