"""Senders: post as the six kinds of senders do, repeat what was not answered, remember every promise."""

import asyncio
import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx

from local_stack.load.people import Person, make_person
from local_stack.load.senders import KINDS, SENDERS, Post
from local_stack.load.setup import submissions_path
from shared.clock import SystemClock

from .checker.facts import Attempt, Promise
from .installation import Installation

__all__ = ["Attempt", "Promise", "Traffic", "read_promises", "seeded"]

PATIENCE_SECONDS = 45.0
REPEAT_SECONDS = 0.05
AT_ONCE = 16
REPEATED_EVERY = 10  # of the deliveries that senders number; they may send one again although it was answered


class Traffic:
    """Posts deliveries. ``promises``: what the 2xx of all of them say, in the order in which they came.

    ``attempts``: every request that was sent, answered or not.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._clock = SystemClock()
        self._numbers: dict[str, int] = {}
        self._goals: list[tuple[int, asyncio.Event]] = []
        self.promises: list[Promise] = []
        self.attempts: list[Attempt] = []
        self.repeated = 0

    def person(self, population: str) -> Person:
        """Return somebody new of *population*; most of them should reach sales."""
        number = self._numbers[population] = self._numbers.get(population, -1) + 1
        return make_person(number, population=f"{population}-")

    def delivery(self, kind: str, person: Person) -> Post:
        assert self._installation.setup is not None
        return SENDERS[kind](person, self._installation.setup.signing[kind], self._clock.now())

    def url(self, kind: str) -> str:
        return self._installation.urls["ingest"] + submissions_path(kind)

    async def post(self, client: httpx.AsyncClient, kind: str, person: Person) -> list[Promise]:
        """Post a delivery of *person* until it is answered with 2xx, as senders do; return what it promises."""
        delivery = self.delivery(kind, person)
        answer = await self._insist(client, kind, delivery)
        if kind != "web_form" and len(self.promises) % REPEATED_EVERY == 0:
            await self._insist(client, kind, delivery)
        promises = read_promises(answer, kind, person.email, delivery.body)
        self.promises += promises
        for goal, reached in self._goals:
            if len(self.promises) >= goal:
                reached.set()
        return promises

    async def send(self, kind: str, person: Person) -> Promise:
        """Post one delivery of one record; return its promise."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            [promise] = await self.post(client, kind, person)
        return promise

    async def pour(self, leads: int, per_second: float, population: str) -> None:
        """Post *leads* people at a steady pace, kinds in turn; return when all were promised something."""
        loop = asyncio.get_running_loop()
        start, gate = loop.time(), asyncio.Semaphore(AT_ONCE)
        people = [self.person(population) for _ in range(leads)]
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client, asyncio.TaskGroup() as group:
            for number, person in enumerate(people):
                await asyncio.sleep(start + number / per_second - loop.time())
                await gate.acquire()
                task = group.create_task(self.post(client, KINDS[number % len(KINDS)], person))
                task.add_done_callback(lambda _: gate.release())

    async def promised(self, more: int, pouring: asyncio.Task[None]) -> None:
        """Return once *more* records were promised since the call, or *pouring* has ended."""
        reached = asyncio.Event()
        self._goals.append((len(self.promises) + more, reached))
        waiting = asyncio.create_task(reached.wait())
        await asyncio.wait({waiting, pouring}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def _insist(self, client: httpx.AsyncClient, kind: str, delivery: Post) -> httpx.Response:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        digest = sha256(delivery.body).hexdigest()
        while True:
            try:
                answer = await client.post(self.url(kind), content=delivery.body, headers=delivery.headers)
                self.attempts.append(read_attempt(answer, kind, digest))
                problem = f"answered {answer.status_code}: {answer.text[:300]}"
                if answer.is_success:
                    return answer
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, f"a good {kind} delivery is {problem}"
            except httpx.TransportError as error:
                self.attempts.append(Attempt(kind, digest, 0))
                problem = type(error).__name__
            assert loop.time() < deadline, f"{kind} got no 2xx within {PATIENCE_SECONDS:.0f} s; last: {problem}"
            self.repeated += 1
            await asyncio.sleep(REPEAT_SECONDS)


def read_promises(answer: httpx.Response, kind: str, email: str, sent: bytes = b"") -> list[Promise]:
    """Return what a 2xx promises about the body that was *sent*."""
    body: Mapping[str, Any] = answer.json()
    return [
        Promise(
            record_id=record["record_id"],
            submission_id=body["submission_id"],
            kind=kind,
            nature=record["nature"],
            lead_id=record.get("lead_id"),
            email=email,
            digest=sha256(sent).hexdigest() if sent else "",
        )
        for record in body["records"]
    ]


def read_attempt(answer: httpx.Response, kind: str, digest: str) -> Attempt:
    """Return what to remember of a request that was answered."""
    if not answer.is_success:
        return Attempt(kind, digest, answer.status_code)
    body: Mapping[str, Any] = answer.json()
    records = tuple(str(record["record_id"]) for record in body["records"])
    return Attempt(kind, digest, answer.status_code, str(body["submission_id"]), records)


def seeded(seed: str) -> random.Random:
    """Return chance that is the same in every run: a failure can be run again."""
    return random.Random(seed)  # noqa: S311 - when to kill what, no secret
