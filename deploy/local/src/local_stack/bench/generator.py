"""The open-loop generator, a process of its own: ``python -m local_stack.bench.generator``.

Reads a `Plan` (one line of JSON) on stdin, builds and signs every request, says ``ready``, waits for a line, sends,
says a `Summary`, waits for a line, writes one line of JSON per request to ``plan.out`` and says ``written``: what it
does beside sending falls outside of what is measured.
"""

import asyncio
import sys
import time
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from local_stack.bench.connection import NO_ANSWER, Connection
from local_stack.bench.mix import Planned, plan_mix
from local_stack.bench.percentiles import Latency, summarise
from local_stack.bench.requests import Request, build_requests, stamps_for
from local_stack.bench.schedule import due_times
from local_stack.load.senders import Signing
from shared.clock import SystemClock

RECONNECT_SECONDS = 0.05
SETTLE_SECONDS = 0.5


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send where. ``rate`` in requests a second; 0: as fast as ``connections`` allow.

    ``patience``: seconds after the last one is due that answers are waited for.
    """

    host: str
    port: int
    count: int
    rate: float
    connections: int
    seed: int
    population: str
    signing: dict[str, tuple[str, str]]
    out: str
    patience: float = 60.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``due``, ``sent``, ``done``: epoch seconds. ``status`` 0: no answer came.

    ``answer``: the body of a 2xx, with the ids it promises.
    """

    index: int
    nature: str
    sender: str
    due: float
    sent: float
    done: float
    status: int
    expected: int
    answer: msgspec.Raw = msgspec.Raw(b"null")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. ``lateness``: from due to sent, what the generator itself adds. CPU of the sending only."""

    started_at: float
    sent: int
    seconds: float
    cpu_seconds: float
    answers: dict[str, int]
    unexpected: int
    lateness: Latency | None


class Generator:
    """Sends requests when they are due, over a fixed number of connections."""

    def __init__(self, plan: Plan, requests: list[Request], due: list[float]) -> None:
        self._plan = plan
        self._requests = requests
        self._due = due
        self._sent = [0.0] * len(requests)
        self._done = [0.0] * len(requests)
        self._status = [NO_ANSWER] * len(requests)
        self._bodies: list[bytes] = [b""] * len(requests)
        self._idle: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._open = len(requests)
        self._finished = asyncio.Event()
        self._reconnects: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    async def connect(self) -> None:
        """Open every connection."""
        await asyncio.gather(*(self._connect() for _ in range(self._plan.connections)))

    async def run(self) -> float:
        """Send everything; return the loop's time at the start."""
        start = self._loop.time()
        index = 0
        while index < len(self._requests):
            now = self._loop.time() - start
            while index < len(self._requests) and self._due[index] <= now:
                self._take(index)
                index += 1
            if index < len(self._requests):
                await asyncio.sleep(self._due[index] - now)
        try:
            async with asyncio.timeout(self._plan.patience):
                await self._finished.wait()
        except TimeoutError:
            pass
        self._is_over = True
        for connection in self._idle:
            connection.close()
        return start

    def _take(self, index: int) -> None:
        if self._idle:
            self._send(self._idle.pop(), index)
        else:
            self._waiting.append(index)

    def _send(self, connection: Connection, index: int) -> None:
        self._sent[index] = self._loop.time()
        connection.send(index, self._requests[index].wire)

    def _on_answer(self, connection: Connection, index: int, status: int, body: bytes) -> None:
        self._status[index] = status
        if status < 300:
            self._bodies[index] = body
        self._close_request(index)
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _on_lost(self, connection: Connection, index: int | None) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        if index is not None:
            self._close_request(index)
        if not self._is_over:
            task = self._loop.create_task(self._connect())
            self._reconnects.add(task)
            task.add_done_callback(self._reconnects.discard)

    def _close_request(self, index: int) -> None:
        self._done[index] = self._loop.time()
        self._open -= 1
        if not self._open:
            self._finished.set()

    async def _connect(self) -> None:
        while not self._is_over:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._on_answer, self._on_lost), self._plan.host, self._plan.port
                )
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            if self._waiting:
                self._send(connection, self._waiting.popleft())
            else:
                self._idle.append(connection)
            return

    def rows(self, planned: list[Planned], start: float, epoch: float) -> list[Row]:
        """Return a row per request; *epoch* is the wall clock at the loop's time *start*."""
        shift = epoch - start
        return [
            Row(
                index=index,
                nature=one.nature,
                sender=one.sender,
                due=epoch + self._due[index],
                sent=shift + self._sent[index] if self._sent[index] else 0.0,
                done=shift + self._done[index] if self._done[index] else 0.0,
                status=self._status[index],
                expected=self._requests[index].expected,
                answer=msgspec.Raw(self._bodies[index] or b"null"),
            )
            for index, one in enumerate(planned)
        ]


def summarise_rows(rows: list[Row], started_at: float, cpu_seconds: float) -> Summary:
    """Return the counts and the generator's own part in the latency."""
    answers: dict[str, int] = {}
    for row in rows:
        answers[str(row.status)] = answers.get(str(row.status), 0) + 1
    return Summary(
        started_at=started_at,
        sent=len(rows),
        seconds=max((row.done for row in rows), default=started_at) - started_at,
        cpu_seconds=cpu_seconds,
        answers=answers,
        unexpected=sum(row.status != row.expected for row in rows),
        lateness=summarise(row.sent - row.due for row in rows if row.sent),
    )


async def _generate(plan: Plan) -> None:
    clock = SystemClock()
    planned = plan_mix(plan.count, seed=plan.seed)
    due = due_times(plan.count, plan.rate, seed=plan.seed)
    signing = {kind: Signing(*secret) for kind, secret in plan.signing.items()}
    requests = build_requests(
        planned,
        stamps_for(due, clock.now() + timedelta(seconds=SETTLE_SECONDS)),
        signing=signing,
        population=plan.population,
        host=f"{plan.host}:{plan.port}",
    )
    generator = Generator(plan, requests, due)
    await generator.connect()
    await _say("ready")
    cpu = time.process_time()
    epoch, before = clock.now().timestamp(), asyncio.get_running_loop().time()
    start = await generator.run()
    cpu = time.process_time() - cpu
    rows = generator.rows(planned, start, epoch + start - before)
    await _say(msgspec.json.encode(summarise_rows(rows, epoch, cpu)).decode())
    await asyncio.to_thread(write_rows, Path(plan.out), rows)
    print("written", flush=True)


async def _say(line: str) -> None:
    """Say *line* and wait for a line."""
    print(line, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def write_rows(file: Path, rows: list[Row]) -> None:
    """Write a line of JSON per row."""
    encoder = msgspec.json.Encoder()
    with file.open("wb") as out:
        out.writelines(encoder.encode(row) + b"\n" for row in rows)


def read_rows(file: Path) -> list[Row]:
    """Return what a generator wrote."""
    decoder = msgspec.json.Decoder(Row)
    with file.open("rb") as lines:
        return [decoder.decode(line) for line in lines]


def main() -> Literal[0]:
    """Run one plan."""
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    uvloop.run(_generate(plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
