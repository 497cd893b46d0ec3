"""A storm of failures stops the consumer; a dependency that goes away stops it too, and parks nothing.

On a PostgreSQL of this module's own: it is stopped and killed.
"""

import asyncio
import secrets
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import asyncpg
import pytest

import shared.runtime.processing
from local_stack.blocking import run_blocking
from local_stack.postgres import Postgres
from shared.provision import create_topics
from shared.runtime import Runtime
from shared.runtime.release import retry_key
from shared.testing import SteppedClock

from .conftest import Toy, ToyRepository
from .test_consumer_on_kafka import consuming, publish, published, until

LIMIT = 3
LEADS, EVENTS_EACH, BATCH = 20, 15, 20
DROPS = 10


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("postgres")
    server = Postgres(folder, folder / "logs", fsync=False)
    try:
        server.prepare()
        server.launch()
        server.wait_ready()
        yield server
    finally:
        server.stop()
        server.forget()


@pytest.fixture(scope="module")
def create_database(postgres: Postgres) -> Callable[..., str]:
    """Return a function that makes a database on this module's server."""

    def create() -> str:
        name = f"test_{secrets.token_hex(6)}"
        run_blocking(_execute(postgres.url, f'CREATE DATABASE "{name}"'))
        return f"{postgres.url.rpartition('/')[0]}/{name}"

    return create


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def toy_with_topics(toy: Toy) -> Toy:
    """Return the toy with topics of this test's own: it counts what comes out."""
    prefix = f"{toy.settings.kafka_topic_prefix}{secrets.token_hex(2)}."
    toy.settings = toy.settings.model_copy(update={"kafka_topic_prefix": prefix})
    await create_topics(toy.settings, partitions=3)
    return toy


async def parked_leads(toy: Toy) -> list[str]:
    return [row["key"] for row in await toy.fetch("SELECT DISTINCT key FROM toy.parked ORDER BY key")]


async def has_parked(toy: Toy, leads: int) -> bool:
    return len(await parked_leads(toy)) >= leads


async def pause_reason(runtime: Runtime[ToyRepository]) -> str | None:
    """Return why the consumer waits for a dependency; None while it does not."""
    reason = runtime.loops["toy"].paused_for
    return None if reason in {"starting", "joining"} else reason


async def names_by_lead(toy: Toy) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for lead_id, name in await toy.seen():
        names.setdefault(lead_id, []).append(name)
    return names


async def test_storm_pauses_the_consumer_until_a_minute_has_passed_or_the_bug_is_gone_and_loses_no_event(
    toy_with_topics: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, clock = toy_with_topics, SteppedClock()
    monkeypatch.setattr(shared.runtime.processing, "STORM_PAUSE", timedelta(milliseconds=50))
    toy.settings = toy.settings.model_copy(update={"park_limit": LIMIT})
    toy.faults.poison = {"bad"}
    leads = [f"lead-{number:02}" for number in range(4 * LIMIT)]
    for lead_id in leads:
        await publish(toy, "bad", "behind", lead_id=lead_id)
    async with toy.runtime(clock=clock) as runtime, consuming(runtime):
        await until(lambda: pause_reason(runtime))
        first_calls = toy.faults.calls
        await until(lambda: _called_more(toy, first_calls + 10))  # it tries again, and again
        assert (len(await parked_leads(toy)), await pause_reason(runtime)) == (LIMIT, "Retryable")
        clock.advance(minutes=1)
        await until(lambda: has_parked(toy, 2 * LIMIT))
        toy.faults.poison = set()
        waiting = await parked_leads(toy)
        await published(toy, "leads.routed", 2 * (len(leads) - len(waiting)))
        assert (await parked_leads(toy), await pause_reason(runtime)) == (waiting, None)
        for lead_id in waiting:
            assert await retry_key(runtime, "toy", lead_id, actor="ops") == 2
    assert len(waiting) == 2 * LIMIT
    assert await names_by_lead(toy) == {lead_id: ["bad", "behind"] for lead_id in leads}


async def _called_more(toy: Toy, calls: int) -> bool:
    return toy.faults.calls > calls


async def drop_connections(toy: Toy, _postgres: Postgres, _runtime: Runtime[ToyRepository]) -> None:
    """Cut the service's connections ten times, each time after it has handled something more."""
    for _ in range(DROPS):
        handled = len(await toy.seen())
        await toy.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%\\_toy'")
        await until(lambda handled=handled: _handled_more(toy, handled))  # type: ignore[misc]


async def stop_server(_toy: Toy, postgres: Postgres, runtime: Runtime[ToyRepository]) -> None:
    await _be_away(postgres, runtime, signal.SIGINT)


async def crash_server(_toy: Toy, postgres: Postgres, runtime: Runtime[ToyRepository]) -> None:
    await _be_away(postgres, runtime, signal.SIGQUIT)


async def _be_away(postgres: Postgres, runtime: Runtime[ToyRepository], how: signal.Signals) -> None:
    await asyncio.to_thread(postgres.children[-1].stop, how, 30)
    await until(lambda: pause_reason(runtime))
    postgres.launch()
    await asyncio.to_thread(postgres.wait_ready)


async def _handled_more(toy: Toy, than: int) -> bool:
    handled = len(await toy.seen())
    return handled > than or handled == LEADS * EVENTS_EACH


@pytest.mark.parametrize("outage", [drop_connections, stop_server, crash_server])
async def test_database_that_goes_away_in_the_middle_parks_nothing_and_every_event_is_handled_once_in_order(
    toy_with_topics: Toy,
    postgres: Postgres,
    outage: Callable[[Toy, Postgres, Runtime[ToyRepository]], Awaitable[None]],
) -> None:
    toy = toy_with_topics
    toy.settings = toy.settings.model_copy(update={"batch_size": BATCH})
    names = [f"{number:02}" for number in range(EVENTS_EACH)]
    for lead in range(LEADS):
        await publish(toy, *names, lead_id=f"lead-{lead}")
    async with toy.runtime() as runtime, consuming(runtime):
        await until(toy.seen)
        await outage(toy, postgres, runtime)
        await published(toy, "leads.routed", LEADS * EVENTS_EACH)
        await until(lambda: _resumed(runtime))
    assert await names_by_lead(toy) == {f"lead-{lead}": names for lead in range(LEADS)}
    assert await parked_leads(toy) == []
    assert await toy.fetch("SELECT * FROM toy.dead_letter") == []


async def _resumed(runtime: Runtime[ToyRepository]) -> bool:
    return await pause_reason(runtime) is None
