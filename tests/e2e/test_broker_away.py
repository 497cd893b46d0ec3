"""Kafka is not on the way between a sender and its 2xx: the door takes submissions without it, and none is lost."""

import asyncio
import signal
from collections.abc import Iterator

import httpx
import pytest

from local_stack.kafka import Kafka

from .evidence import rows, settle
from .installation import Installation
from .traffic import Traffic
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

BEFORE, DURING, PER_SECOND = 30, 90, 30.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Yield a broker that nobody else uses: it may be killed."""
    folder = tmp_path_factory.mktemp("broker")
    kafka = Kafka(folder, folder / "logs")
    try:
        kafka.prepare()
        kafka.launch()
        kafka.wait_ready()
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="module")
def kafka_bootstrap_servers(broker: Kafka) -> str:
    return broker.bootstrap_servers


async def kill(broker: Kafka) -> None:
    child = broker.children[-1]
    child.send(signal.SIGKILL)
    await asyncio.to_thread(child.end_within, 5)


async def restart(broker: Kafka) -> None:
    broker.launch()
    await asyncio.to_thread(broker.wait_ready)


async def freeze(broker: Kafka) -> None:
    broker.children[-1].send(signal.SIGSTOP)


async def thaw(broker: Kafka) -> None:
    broker.children[-1].send(signal.SIGCONT)


@pytest.mark.parametrize(("leave", "come_back"), [(kill, restart), (freeze, thaw)], ids=["killed", "frozen"])
async def test_ingest_answers_2xx_and_stays_ready_without_a_broker_and_everything_flows_afterwards(
    installation: Installation, traffic: Traffic, broker: Kafka, api: httpx.AsyncClient, leave, come_back
) -> None:
    population = leave.__name__
    await traffic.pour(BEFORE, PER_SECOND, population)
    repeated, promised = traffic.repeated, len(traffic.promises)
    await leave(broker)
    pouring = asyncio.create_task(traffic.pour(DURING, PER_SECOND, population))
    ready = []
    while not pouring.done():
        ready.append((await api.get(f"{installation.urls['ingest']}/readyz")).status_code)
        await asyncio.wait({pouring}, timeout=0.2)
    await pouring
    assert (traffic.repeated - repeated, len(traffic.promises) - promised) == (0, DURING), "every answer is a 2xx"
    assert set(ready) == {httpx.codes.OK}
    waiting = await rows(installation, "SELECT count(*) AS n FROM ingest.outbox")
    assert waiting[0]["n"] >= DURING, "nothing was published meanwhile"
    await come_back(broker)
    evidence = await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))
    assert find_faults(traffic.promises, evidence) == []
