"""Loopback ports."""

import json
import socket
from collections.abc import Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether nobody listens on *port* of the loopback interface."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return *count* different ports that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def kept_ports(file: Path, names: Iterable[str]) -> dict[str, int]:
    """Return a free port per name: those that *file* remembers if all are free, so that URLs survive a restart."""
    wanted = tuple(names)
    try:
        kept: dict[str, int] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        kept = {}
    if set(kept) != set(wanted) or not all(is_free(port) for port in kept.values()):
        kept = dict(zip(wanted, free_ports(len(wanted)), strict=True))
        file.write_text(json.dumps(kept), "utf-8")
    return kept
