"""A service can be stopped at any moment, and says the truth about what it waits for."""

import asyncio
import socket
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

import shared.db
import shared.runtime.serving
from shared.contracts import LeadCaptured
from shared.contracts.topics import TOPIC_BY_NAME
from shared.db import Database
from shared.provision import create_topics, topic_options
from shared.runtime.serving import serve
from shared.testing import RecordingPublisher

from .batches import arrived, captured
from .conftest import Toy
from .test_consumer_on_kafka import consuming, publish, until


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def at_port(url: str, port: int) -> SecretStr:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return SecretStr(urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{port}")))


async def test_service_that_still_waits_for_postgres_can_be_stopped(toy: Toy) -> None:
    url = toy.settings.database_url.get_secret_value()
    toy.settings = toy.settings.model_copy(update={"database_url": at_port(url, unused_port())})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(toy.service(), stop=stop))
    stop.set()
    async with asyncio.timeout(10):
        await serving


class Stubborn:
    """Waits for something that never comes, and for a second thing when it is cancelled."""

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()

    async def drain(self) -> None: ...


async def test_duty_that_does_not_even_heed_its_cancellation_does_not_keep_the_process(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.serving, "CANCEL_SECONDS", 0.05)
    toy.settings = toy.settings.model_copy(update={"port": unused_port(), "shutdown_seconds": 1.0})
    stop = asyncio.Event()
    service = replace(toy.service(), workers=(lambda _runtime: Stubborn(),))
    serving = asyncio.create_task(serve(service, stop=stop))
    async with asyncio.timeout(20):
        await until(lambda: _answers(toy.settings.port))
        stop.set()
        await serving


async def _answers(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 200
        except httpx.ConnectError:
            return False


async def test_pool_whose_connection_is_never_given_back_can_still_be_closed(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.db, "CLOSE_SECONDS", 0.05, raising=False)
    database = Database(toy.settings.database_url.get_secret_value(), schema="toy", application_name="test")
    await database.open()
    lent = database.connection()
    await lent.__aenter__()
    async with asyncio.timeout(10):
        await database.close()


async def test_pool_that_is_exhausted_says_so_instead_of_waiting_for_ever(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.db, "ACQUIRE_SECONDS", 0.05, raising=False)
    database = Database(toy.settings.database_url.get_secret_value(), schema="toy", application_name="test", size=1)
    await database.open()
    async with database.connection():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10), database.connection():
                raise AssertionError
    await database.close()


async def test_consumer_that_starts_before_its_topics_says_so_and_begins_when_they_appear(toy: Toy) -> None:
    prefix = toy.settings.kafka_topic_prefix + "late."
    toy.settings = toy.settings.model_copy(update={"kafka_topic_prefix": prefix})
    async with toy.runtime() as runtime, consuming(runtime):
        while runtime.loops["toy"].paused_for != "topics_missing":  # noqa: ASYNC110 - state of another task
            await asyncio.sleep(0.02)
        await create_topics(toy.settings, partitions=1)
        await publish(toy, "a")
        async with asyncio.timeout(30):
            await until(toy.seen)
        assert runtime.loops["toy"].paused_for is None


async def test_parked_leads_are_known_before_the_first_event_is_handled(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    async with toy.runtime(publisher=RecordingPublisher()) as before:
        toy.faults.poison = {"bad"}
        await before.processors["toy"].process(arrived(captured("lead-1", "bad")))
        toy.faults.poison = set()
    await publish(toy, "b", lead_id="lead-1")
    await publish(toy, "c", lead_id="lead-2")
    async with toy.runtime() as runtime:
        parked = runtime.processors["toy"].parked
        reload = parked.reload

        async def slow_reload(sql):
            for _ in range(300):
                await sql.fetchval("SELECT pg_sleep(0.005)")
            await reload(sql)

        parked.reload = slow_reload  # type: ignore[method-assign]
        async with consuming(runtime):
            await until(toy.seen)
            await until(lambda: toy.fetch("SELECT FROM toy.parked OFFSET 1"))
    assert await toy.seen() == [("lead-2", "c")]


async def test_number_of_parked_leads_is_measured_whoever_parked_them(toy: Toy) -> None:
    async with toy.runtime(publisher=RecordingPublisher()) as runtime:
        toy.faults.poison = {"bad"}
        await runtime.processors["toy"].process(arrived(captured("lead-1", "bad"), captured("lead-1", "b")))
        await runtime.upkeep.run_once()
        assert REGISTRY.get_sample_value("leadrail_parked_keys", {"consumer": "toy"}) == 1
        await toy.fetch("DELETE FROM toy.parked")
        await runtime.upkeep.run_once()
        assert REGISTRY.get_sample_value("leadrail_parked_keys", {"consumer": "toy"}) == 0


async def test_lag_grows_while_the_consumer_is_stuck(toy_with_topics: Toy) -> None:
    toy = toy_with_topics
    toy.faults.dependency_error = ConnectionResetError()
    await publish(toy, "a")
    async with toy.runtime() as runtime, consuming(runtime):
        while runtime.loops["toy"].paused_for != "ConnectionResetError":  # noqa: ASYNC110 - state of another task
            await asyncio.sleep(0.02)
        first = REGISTRY.get_sample_value("leadrail_consumer_lag_seconds", {"consumer": "toy"})
        await asyncio.sleep(0.05)
        second = REGISTRY.get_sample_value("leadrail_consumer_lag_seconds", {"consumer": "toy"})
        toy.faults.dependency_error = None
    assert first is not None
    assert second is not None
    assert second > first


def test_topic_forgets_what_the_inbox_forgets() -> None:
    """A segment is deleted as a whole: at low traffic the default of 7 days per segment would keep events 14 days."""
    options = topic_options(TOPIC_BY_NAME[LeadCaptured.topic])
    kept = int(options["retention.ms"]) + int(options["segment.ms"])
    assert kept <= 8 * 24 * 3600 * 1000
