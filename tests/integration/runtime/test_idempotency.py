"""Idempotency-Key on routes that create."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.runtime import Runtime
from shared.testing import RecordingPublisher, SteppedClock

from .conftest import Toy, ToyRepository

PATH = "/v1/documents/toy_rules/versions"
DRAFT = {"body": "limit: 5", "why": "more room"}


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def runtime(toy: Toy, clock: SteppedClock) -> AsyncIterator[Runtime[ToyRepository]]:
    async with toy.runtime(clock=clock, publisher=RecordingPublisher()) as runtime:
        yield runtime


async def test_same_key_and_body_creates_once_and_gets_the_first_answer(
    toy: Toy, runtime: Runtime[ToyRepository]
) -> None:
    async with toy.http(runtime, "admin") as client:
        answers = [await client.post(PATH, json=DRAFT, headers={"Idempotency-Key": "k"}) for _ in range(3)]
        versions = (await client.get(PATH)).json()["items"]
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert len(versions) == 2


async def test_same_key_with_another_body_is_refused(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        await client.post(PATH, json=DRAFT, headers={"Idempotency-Key": "k"})
        answer = await client.post(PATH, json={**DRAFT, "why": "another"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "idempotency_conflict")


async def test_many_at_once_create_once(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        answers = await asyncio.gather(
            *(client.post(PATH, json=DRAFT, headers={"Idempotency-Key": "k"}) for _ in range(12))
        )
        versions = (await client.get(PATH)).json()["items"]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert [answer.status_code for answer in answers].count(201) >= 1
    assert len(versions) == 2


async def test_a_refused_request_leaves_its_key_free(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        refused = await client.post(PATH, json={**DRAFT, "body": "limit: x"}, headers={"Idempotency-Key": "k"})
        corrected = await client.post(PATH, json=DRAFT, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, corrected.status_code) == (422, 201)


async def test_an_answer_is_only_for_the_api_key_that_asked(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    headers = {"Idempotency-Key": "k"}
    async with toy.http(runtime, "admin") as first, toy.http(runtime, "admin") as second, toy.http(runtime) as nobody:
        answers = [await client.post(PATH, json=DRAFT, headers=headers) for client in (first, second)]
        stranger = await nobody.post(PATH, json=DRAFT, headers=headers)
    assert [answer.json()["version"] for answer in answers] == [2, 3]
    assert stranger.status_code == 401


async def test_stored_answer_is_sealed(toy: Toy, runtime: Runtime[ToyRepository]) -> None:
    async with toy.http(runtime, "admin") as client:
        await client.post(PATH, json=DRAFT, headers={"Idempotency-Key": "k"})
    [row] = await toy.fetch("SELECT answer FROM toy.idempotency")
    assert b"more room" not in row["answer"]


async def test_a_request_that_died_with_its_process_may_be_repeated_after_a_minute(
    toy: Toy, runtime: Runtime[ToyRepository], clock: SteppedClock
) -> None:
    async with toy.http(runtime, "admin") as client:
        headers = {"Idempotency-Key": "k"}
        await client.post(PATH, json=DRAFT, headers=headers)
        await toy.fetch("UPDATE toy.idempotency SET answer = NULL")
        running = await client.post(PATH, json=DRAFT, headers=headers)
        clock.advance(seconds=61)
        again = await client.post(PATH, json=DRAFT, headers=headers)
    assert (running.status_code, running.headers["retry-after"], again.status_code) == (409, "1", 201)


async def test_a_key_is_forgotten_after_a_day(toy: Toy, runtime: Runtime[ToyRepository], clock: SteppedClock) -> None:
    async with toy.http(runtime, "admin") as client:
        headers = {"Idempotency-Key": "k"}
        first = await client.post(PATH, json=DRAFT, headers=headers)
        clock.advance(seconds=timedelta(hours=25).total_seconds())
        second = await client.post(PATH, json={**DRAFT, "why": "another"}, headers=headers)
    assert (first.json()["version"], second.json()["version"]) == (2, 3)


@pytest.mark.parametrize("key", ["", "x" * 201, "\u00e9"])
async def test_a_key_that_is_none_is_refused(toy: Toy, runtime: Runtime[ToyRepository], key: str) -> None:
    async with toy.http(runtime, "admin") as client:
        answer = await client.post(PATH, json=DRAFT, headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "invalid_idempotency_key")
