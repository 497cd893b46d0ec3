"""Senders that remember what they were promised, and can send it again."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx

from local_stack.failure import StackError
from local_stack.load.people import make_person
from local_stack.load.senders import KINDS, SENDERS, Post
from local_stack.load.setup import Setup, submissions_path
from shared.clock import SystemClock

AT_ONCE = 8
PATIENCE_SECONDS = 60.0
REPEAT_SECONDS = 0.1


class Promise(NamedTuple):
    """One record of a 2xx, and the request that can be sent again. ``answered_at``: epoch seconds."""

    record_id: str
    nature: str
    email: str
    kind: str
    post: Post
    answered_at: float


class Senders:
    """Posts to one ingest; ``promises`` is everything that any 2xx said."""

    def __init__(self, ingest_url: str, setup: Setup) -> None:
        self._url = ingest_url
        self._setup = setup
        self._clock = SystemClock()
        self._people = 0
        self.promises: list[Promise] = []

    async def pour(self, leads: int, per_second: float) -> list[Promise]:
        """Post *leads* new people at a steady pace, kinds in turn; return what was promised."""
        loop = asyncio.get_running_loop()
        start, gate = loop.time(), asyncio.Semaphore(AT_ONCE)
        first, self._people = self._people, self._people + leads

        async def post(client: httpx.AsyncClient, number: int) -> list[Promise]:
            await asyncio.sleep(start + (number - first) / per_second - loop.time())
            person, kind = make_person(number, population="drill-"), KINDS[number % len(KINDS)]
            async with gate:
                delivery = SENDERS[kind](person, self._setup.signing[kind], self._clock.now())
                return await self._insist(client, kind, delivery, person.email)

        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            promised = await asyncio.gather(*(post(client, number) for number in range(first, first + leads)))
        return [promise for promises in promised for promise in promises]

    async def repeat(self, promises: Sequence[Promise]) -> list[Promise]:
        """Post what led to *promises* again, to the byte, as a sender that keeps an outbox does."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            again = [await self._insist(client, one.kind, one.post, one.email) for one in promises]
        return [promise for promises in again for promise in promises]

    async def _insist(self, client: httpx.AsyncClient, kind: str, post: Post, email: str) -> list[Promise]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                answer = await client.post(self._url + submissions_path(kind), content=post.body, headers=post.headers)
            except httpx.TransportError as error:
                problem = type(error).__name__
            else:
                if answer.is_success:
                    return self._note(answer.json(), kind, post, email)
                problem = f"{answer.status_code}: {answer.text[:200]}"
            if loop.time() > deadline:
                raise StackError(f"A {kind} delivery got no 2xx within {PATIENCE_SECONDS:.0f} s; last: {problem}")
            await asyncio.sleep(REPEAT_SECONDS)

    def _note(self, body: dict[str, Any], kind: str, post: Post, email: str) -> list[Promise]:
        at = self._clock.now().timestamp()
        noted = [Promise(record["record_id"], record["nature"], email, kind, post, at) for record in body["records"]]
        self.promises += noted
        return noted
