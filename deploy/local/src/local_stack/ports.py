"""Loopback ports."""

import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

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


class Claim(Protocol):
    """Claims a port; False if another stack that starts or runs has claimed it."""

    def __call__(self, port: int, /) -> bool: ...


@contextmanager
def port_claims(folder: Path) -> Iterator[Claim]:
    """Yield a function that claims ports until the block ends. Stacks that share *folder* never claim the same one.

    A port is free until its service listens, seconds after it was chosen: without a claim, two stacks that start at the
    same time choose the same ports. The kernel takes the claims of a dead process back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:

        def claim(port: int, /) -> bool:
            descriptor = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            held.callback(os.close, descriptor)
            return True

        yield claim


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
