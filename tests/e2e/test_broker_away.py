"""Kafka is not on the way between a sender and its 2xx: the door takes submissions without it, and none is lost.

Not even if the process that took them dies before Kafka is back.
"""

import asyncio
import json
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence

import httpx
import pytest

from local_stack.kafka import Kafka
from local_stack.load.people import Person
from local_stack.load.setup import submissions_path
from local_stack.services import RunningService

from .evidence import read_topics, rows, settle, until
from .installation import Installation
from .traffic import Promise, Traffic, read_promises
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

BEFORE, DURING, PER_SECOND = 30, 90, 30.0
LEFT_BEHIND = 12  # leads
IN_TURN = ("standard_webhooks", "cloudevents", "typeform")  # senders who are told which lead it is
PARKED = " UNION ALL ".join(
    f"SELECT consumer, key FROM {schema}.parked"  # noqa: S608 - names are ours
    for schema in ("ingest", "scoring", "consent", "routing", "sla_monitor")
)


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
    assert await rows(installation, PARKED) == [], "a broker that is away is no event's fault"


async def test_what_a_killed_process_took_without_a_broker_another_publishes_in_order_and_once(
    installation: Installation, traffic: Traffic, broker: Kafka
) -> None:
    """The one that dies started first: it leads the relay, too."""
    living = installation.start_replica("ingest")
    await asyncio.to_thread(living.wait_ready)
    await kill(broker)
    doomed = installation.services["ingest"]
    taken = await take(traffic, doomed, [traffic.person("left-behind") for _ in range(LEFT_BEHIND)])
    taken += await take(traffic, living, [traffic.person("in-good-hands") for _ in range(LEFT_BEHIND)])
    waiting = await rows(installation, "SELECT id::text, key, owner FROM ingest.outbox ORDER BY id")
    installation.kill("ingest")
    await restart(broker)

    async def left() -> list[str]:
        found = await rows(installation, "SELECT id::text FROM ingest.outbox")
        return [row["id"] for row in found]

    await until("the living process has published everything", left)
    installation.start("ingest")
    await asyncio.to_thread(installation.wait_ready, "ingest")
    assert relayed_by(living) == [LEFT_BEHIND * len(IN_TURN)], "what the dead one left, in the first round, and no more"
    assert len({row["owner"] for row in waiting}) == 2
    accepted: dict[str, list[str]] = defaultdict(list)
    for promise in taken:
        accepted[str(promise.lead_id)].append(promise.record_id)
    published: dict[str, list[str]] = defaultdict(list)
    first_seen: dict[str, str] = {}
    for event in await read_topics(installation, ["leads.captured"]):
        if event.key in accepted and event.id not in first_seen:
            first_seen[event.id] = event.key
            published[event.key].append(event.body["origin"]["record_id"])
    assert published == accepted, "each record is one event, in the order in which its lead's records were taken"
    assert first_seen.keys() == {row["id"] for row in waiting}
    evidence = await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))
    assert find_faults(traffic.promises, evidence) == []
    assert await rows(installation, PARKED) == []


async def take(traffic: Traffic, door: RunningService, people: Sequence[Person]) -> list[Promise]:
    """Let *door* take one record of each of *people* from each sender in turn; return its promises in that order."""
    taken: list[Promise] = []
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        for kind in IN_TURN:
            for person in people:
                delivery = traffic.delivery(kind, person)
                url = door.url + submissions_path(kind)
                answer = await client.post(url, content=delivery.body, headers=delivery.headers)
                assert answer.is_success, answer.text
                taken += read_promises(answer, kind, person.email, delivery.body)
    traffic.promises += taken
    return taken


def relayed_by(service: RunningService) -> list[int]:
    """Return how many events of dead processes *service* published, round by round, as its log tells."""
    lines = [json.loads(line) for line in service.child.log.read_text("utf-8").splitlines()]
    return [line["events"] for line in lines if line["event"] == "outbox_relayed"]
