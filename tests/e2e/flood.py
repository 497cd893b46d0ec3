"""A flood, as a program of its own: ``python flood.py PLAN`` posts more forms than the door can take.

Open loop: what is due is sent whatever became of the requests before it. A `Plan` comes as JSON on the command line;
a `Tally` is written to ``plan.out``.
"""

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import msgspec
import uvloop

from local_stack.load.people import make_person
from local_stack.load.senders import Signing, web_form
from shared.clock import SystemClock

TEMPLATES = 500
TICK_SECONDS = 0.005
LAST_ANSWER_SECONDS = 30.0
NUMBER = b"000000000"
SHOWN = 10


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``rate`` in requests a second; 0: closed loop, each connection posts again when it was answered.

    ``first``: number of the first person; nobody is sent twice.
    """

    port: int
    path: str
    first: int
    rate: float
    seconds: float
    connections: int
    out: str


class Tally(msgspec.Struct, kw_only=True):
    """What became of it.

    ``held_back``: due while every connection waited for an answer, and therefore never sent. ``refused``: connections
    that were not accepted. ``cut``: connections that ended under a request. ``strange``: the beginning of answers that
    are neither a 2xx nor a 503 with Retry-After. ``record_ids``: what the 2xx promised.
    """

    sent: int = 0
    held_back: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    refused: int = 0
    cut: int = 0
    strange: list[str] = msgspec.field(default_factory=list)
    record_ids: list[str] = msgspec.field(default_factory=list)
    seconds: float = 0.0

    @property
    def accepted(self) -> int:
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))


class Sender(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, flood: "Flood") -> None:
        self._flood = flood
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._flood.on_free(self)

    def send(self, wire: bytes) -> None:
        assert self._transport is not None
        self._is_waiting = True
        self._transport.write(wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(headers[b"content-length"]):
            return
        self._buffer, self._is_waiting = b"", False
        self._flood.on_answer(int(head[9:12]), b"retry-after" in headers, body)
        if headers.get(b"connection") != b"close":
            self._flood.on_free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._flood.on_lost(self, is_cut=self._is_waiting)


class Flood:
    """Keeps ``plan.connections`` connections and the tally."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self._plan = plan
        self._wires = [_wire(plan, number) for number in range(TEMPLATES)]
        self._bodies: list[bytes] = []
        self._statuses: Counter[int] = Counter()
        self._idle: list[Sender] = []
        self._next = plan.first
        self._open = 0
        self._is_over = False
        self._connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Flood, wait for the last answers, complete the tally."""
        await asyncio.gather(*(self._connect() for _ in range(self._plan.connections)))
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < self._plan.seconds:
            self._send_due(elapsed)
            await asyncio.sleep(TICK_SECONDS)
        self._is_over = True
        self.tally.seconds = time.monotonic() - start
        deadline = time.monotonic() + LAST_ANSWER_SECONDS
        while self._open and time.monotonic() < deadline:  # noqa: ASYNC110 - a tick late is early enough
            await asyncio.sleep(TICK_SECONDS)
        self.tally.cut += self._open
        self.tally.statuses = {str(status): count for status, count in self._statuses.items()}
        self.tally.record_ids = [
            record["record_id"] for body in self._bodies for record in msgspec.json.decode(body)["records"]
        ]

    def on_free(self, sender: Sender) -> None:
        if self._plan.rate or self._is_over:
            self._idle.append(sender)
        else:
            self._send(sender)

    def on_answer(self, status: int, has_retry_after: bool, body: bytes) -> None:
        self._open -= 1
        self._statuses[status] += 1
        if 200 <= status < 300:
            self._bodies.append(body)
        elif not (status == 503 and has_retry_after) and len(self.tally.strange) < SHOWN:
            self.tally.strange.append(f"{status} {body[:200]!r}")

    def on_lost(self, sender: Sender, *, is_cut: bool) -> None:
        if sender in self._idle:
            self._idle.remove(sender)
        if is_cut:
            self._open -= 1
            self.tally.cut += 1
        if not self._is_over:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    def _send_due(self, elapsed: float) -> None:
        due = int(elapsed * self._plan.rate) - self.tally.sent - self.tally.held_back
        for _ in range(min(due, len(self._idle))):
            self._send(self._idle.pop())
            due -= 1
        self.tally.held_back += max(0, due)

    def _send(self, sender: Sender) -> None:
        number, self._next = self._next, self._next + 1
        self.tally.sent += 1
        self._open += 1
        sender.send(self._wires[number % TEMPLATES].replace(NUMBER, b"%09d" % number))

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Sender(self), "127.0.0.1", self._plan.port)
        except OSError:
            self.tally.refused += 1


def _wire(plan: Plan, number: int) -> bytes:
    person = make_person(number, population=f"flood-{NUMBER.decode()}-")
    post = web_form(person, Signing(""), SystemClock().now())
    head = {"host": f"127.0.0.1:{plan.port}", "content-length": str(len(post.body)), **post.headers}
    lines = [f"POST {plan.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return "\r\n".join(lines).encode() + post.body


def main(arguments: list[str]) -> Any:
    """Run one plan."""
    plan = msgspec.json.decode(arguments[0], type=Plan)

    async def run() -> Tally:
        flood = Flood(plan)
        await flood.run()
        return flood.tally

    Path(plan.out).write_bytes(msgspec.json.encode(uvloop.run(run())))


if __name__ == "__main__":
    main(sys.argv[1:])
