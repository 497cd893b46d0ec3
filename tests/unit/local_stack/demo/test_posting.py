"""What is posted, how often, and how much at once."""

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from datetime import UTC, datetime

import httpx

from local_stack.demo.posting import AT_ONCE, Poster
from local_stack.demo.samples import LEAD, Sample
from local_stack.load.senders import KINDS, WEBHOOKS_SECRET, Post, Signing
from local_stack.load.setup import Setup
from shared.testing.clocks import SteppedClock

CLOCK = SteppedClock(datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
SETUP = Setup({kind: Signing(WEBHOOKS_SECRET) for kind in KINDS}, "whsec_", "e-1")


class Ingest:
    """Answers 200 with new ids, 401 at /forged; counts how much it has at once, with *barrier* before it answers."""

    def __init__(self, barrier: asyncio.Barrier | None = None) -> None:
        self.barrier = barrier
        self.paths: Counter[str] = Counter()
        self.now = 0
        self.most = 0
        self._numbers = itertools.count(1)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths[request.url.path] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        async with self.barrier or contextlib.nullcontext():
            pass
        self.now -= 1
        if request.url.path == "/forged":
            return httpx.Response(401, json={"code": "unauthorized"})
        number = next(self._numbers)
        return httpx.Response(200, json={"submission_id": f"s-{number}", "records": [{"record_id": f"r-{number}"}]})

    def poster(self) -> Poster:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Poster(client, "http://ingest", SETUP, CLOCK)


def sample(path: str, status: int = 200) -> Sample:
    return Sample("a sample", "zoom", path, Post({}, b"{}"), status, (LEAD,))


async def test_accepted_sample_is_sent_again_and_its_other_ids_noticed() -> None:
    ingest = Ingest()
    [delivery] = await ingest.poster().post_samples([sample("/one")])
    assert ingest.paths == {"/one": 2}
    assert (delivery.submission_id, delivery.record_ids) == ("s-1", ("r-1",))
    assert delivery.repeat == (200, "s-2", ("r-2",))
    assert not delivery.is_same_again


async def test_refused_sample_is_sent_once_and_its_answer_kept() -> None:
    ingest = Ingest()
    [delivery] = await ingest.poster().post_samples([sample("/forged")])
    assert ingest.paths == {"/forged": 1}
    assert (delivery.status, delivery.expected_status, delivery.repeat) == (401, 200, None)
    assert json.loads(delivery.detail) == {"code": "unauthorized"}


async def test_leads_come_from_all_senders_in_turn_with_a_bounded_number_at_once() -> None:
    ingest = Ingest(asyncio.Barrier(AT_ONCE))
    answers: list[None] = []
    leads = AT_ONCE * len(KINDS)
    deliveries = await ingest.poster().post_leads(leads, 1e9, "p-", lambda: answers.append(None))
    assert Counter(delivery.kind for delivery in deliveries) == dict.fromkeys(KINDS, AT_ONCE)
    assert len({delivery.record_ids for delivery in deliveries}) == len(answers) == leads
    assert ingest.most == AT_ONCE
