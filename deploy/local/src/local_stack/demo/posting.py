"""Posts what senders post, and keeps what each was promised."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import httpx

from local_stack.demo.samples import LEAD, Fate, Sample
from local_stack.load.people import make_person
from local_stack.load.senders import KINDS, SENDERS, Post
from local_stack.load.setup import Setup, submissions_path
from shared.clock import Clock

AT_ONCE = 8  # per destination; with more connections httpx spends its time on its pool


class Delivery(NamedTuple):
    """One delivery and its answer. ``expected``: what each record of an accepted one must become.

    ``record_ids``: those in the answer. ``repeat``: the answer's status and ids of the same delivery sent again.
    """

    title: str
    kind: str
    status: int
    expected_status: int
    expected: tuple[Fate, ...]
    submission_id: str | None
    record_ids: tuple[str, ...]
    repeat: tuple[int, str | None, tuple[str, ...]] | None = None
    detail: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status == httpx.codes.OK

    @property
    def is_same_again(self) -> bool:
        """Whether the delivery sent again was answered with the very same ids."""
        return self.repeat == (self.status, self.submission_id, self.record_ids)


class Poster:
    """Posts to one ingest."""

    def __init__(self, client: httpx.AsyncClient, ingest_url: str, setup: Setup, clock: Clock) -> None:
        self._client = client
        self._url = ingest_url
        self._setup = setup
        self._clock = clock

    async def post_samples(self, samples: Sequence[Sample]) -> list[Delivery]:
        """Post each of *samples*, and the accepted ones once more: a sender that missed our answer does that."""
        deliveries = []
        for sample in samples:
            answer = await self._post(sample.path, sample.post)
            delivery = _delivery(sample.title, sample.kind, answer, sample.status, sample.fates)
            if delivery.is_accepted:
                again = await self._post(sample.path, sample.post)
                delivery = delivery._replace(repeat=(again.status_code, *_ids(again)))
            deliveries.append(delivery)
        return deliveries

    async def post_leads(
        self, leads: int, per_second: float, population: str, on_answer: Callable[[], object]
    ) -> list[Delivery]:
        """Post *leads* new people of *population*, all kinds of senders in turn, several at once, at a steady pace."""
        gate = asyncio.Semaphore(AT_ONCE)
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def post(number: int) -> Delivery:
            await asyncio.sleep(start + number / per_second - loop.time())
            kind = KINDS[number % len(KINDS)]
            person = make_person(number, population=population)
            async with gate:
                post = SENDERS[kind](person, self._setup.signing[kind], self._clock.now())
                answer = await self._post(submissions_path(kind), post)
            on_answer()
            return _delivery(f"{person.first_name} {person.last_name[0]}.", kind, answer, httpx.codes.OK, (LEAD,))

        return await asyncio.gather(*map(post, range(leads)))

    async def _post(self, path: str, post: Post) -> httpx.Response:
        return await self._client.post(self._url + path, content=post.body, headers=post.headers)


def _delivery(title: str, kind: str, answer: httpx.Response, status: int, fates: tuple[Fate, ...]) -> Delivery:
    submission_id, record_ids = _ids(answer)
    detail = answer.text[:300] if answer.status_code != status else ""
    return Delivery(title, kind, answer.status_code, status, fates, submission_id, record_ids, detail=detail)


def _ids(answer: httpx.Response) -> tuple[str | None, tuple[str, ...]]:
    if not answer.is_success:
        return None, ()
    body: dict[str, Any] = answer.json()
    return body["submission_id"], tuple(record["record_id"] for record in body["records"])
