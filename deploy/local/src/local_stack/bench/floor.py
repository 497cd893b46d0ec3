"""The floor: what five bare hops cost on the same servers, measured in the same run as the pipeline."""

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from local_stack.bench.decisions import end_offsets, read_since
from local_stack.bench.floor_hop import MAX_BATCH_BYTES, Hop
from local_stack.bench.percentiles import Latency, summarise
from local_stack.bench.processes import Helper, helper
from local_stack.bench.schedule import due_times
from local_stack.bench.usage import cpu_between, measure
from local_stack.failure import StackError
from shared.ids import new_id

HOPS = 5
PARTITIONS = 6
SCHEMA = "bench_floor"
BODY = os.urandom(512).hex().encode()  # 1 KB, as a lead event is; hexadecimal, so that it compresses like text
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 120.0


class FloorRun(msgspec.Struct, frozen=True, kw_only=True):
    """One burst through the five hops. ``cpu``: microseconds per lead of each part."""

    leads: int
    seconds: float
    leads_per_second: float
    cpu: dict[str, float]
    cpu_total: float


class Floor:
    """Five hops that run."""

    def __init__(self, bootstrap_servers: str, pids: Mapping[str, int], hops: list[Helper]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._pids = {**pids, **{hop.name: hop.pid for hop in hops}}
        self._hops = hops

    async def burst(self, leads: int) -> FloorRun:
        """Push *leads* through as fast as they go. The CPU of pushing them in is not counted, the broker's part is."""
        before_in = await self._ends()
        before = measure(self._pids)
        started = time.monotonic()
        async with self._feeder() as feeder:
            for begin in range(0, leads, 500):
                await _feed(feeder, min(500, leads - begin))
        await self._arrived(before_in, leads)
        seconds = time.monotonic() - started
        cpu = cpu_between(before, measure(self._pids))
        per_lead = {name: round(1e6 * used / leads, 1) for name, used in _by_part(cpu).items()}
        return FloorRun(
            leads=leads,
            seconds=round(seconds, 2),
            leads_per_second=round(leads / seconds),
            cpu=per_lead,
            cpu_total=round(sum(per_lead.values()), 1),
        )

    async def paced(self, rate: float, seconds: float, *, seed: int) -> Latency | None:
        """Return the milliseconds from producing a lead to its last hop's producing it, at *rate* a second."""
        before_in = await self._ends(0)
        before_out = await self._ends()
        loop = asyncio.get_running_loop()
        due = due_times(int(rate * seconds), rate, seed=seed)
        acknowledged = []
        async with self._feeder() as feeder:
            start = loop.time()
            for one in due:
                await asyncio.sleep(max(0.0, start + one - loop.time()))
                acknowledged.append(await _send(feeder))
            await asyncio.gather(*acknowledged)
        await self._arrived(before_out, len(due))
        entered = {one.key: one.timestamp for one in await read_since(self._bootstrap_servers, before_in)}
        left = {one.key: one.timestamp for one in await read_since(self._bootstrap_servers, before_out)}
        return summarise((left[key] - at) / 1000 for key, at in entered.items())

    async def _ends(self, hop: int = HOPS) -> dict[TopicPartition, int]:
        return await end_offsets(self._bootstrap_servers, [_topic(hop)])

    async def _arrived(self, before: Mapping[TopicPartition, int], leads: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum((await self._ends()).values()) - sum(before.values()) < leads:
            for hop in self._hops:
                hop.check_running()
            if time.monotonic() > deadline:
                raise StackError("The floor's five hops do not finish.")
            await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def _feeder(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers, acks="all", enable_idempotence=True,
            max_batch_size=MAX_BATCH_BYTES,
        )  # fmt: skip
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()


@asynccontextmanager
async def running_floor(database_url: str, bootstrap_servers: str, pids: Mapping[str, int]) -> AsyncIterator[Floor]:
    """Start five hops on topics and tables of their own; stop them at the end. *pids*: the two servers."""
    await _make_topics(bootstrap_servers)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        for number in range(HOPS):
            table = f"{SCHEMA}.hop{number}"
            await connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id uuid PRIMARY KEY, body bytea NOT NULL)")
    finally:
        await connection.close()
    async with AsyncExitStack() as cleanup:
        hops = []
        for number in range(HOPS):
            hop = await cleanup.enter_async_context(helper("local_stack.bench.floor_hop", name=f"hop{number}"))
            plan = Hop(
                bootstrap_servers, database_url, _topic(number), _topic(number + 1), f"{SCHEMA}.hop{number}", PARTITIONS
            )
            await hop.tell(msgspec.json.encode(plan))
            hops.append(hop)
        for hop in hops:
            await hop.hear()
        yield Floor(bootstrap_servers, pids, hops)


async def _make_topics(bootstrap_servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        for number in range(HOPS + 1):
            await admin.create_topics([NewTopic(_topic(number), PARTITIONS, 1)])
    except TopicAlreadyExistsError:
        pass
    finally:
        await admin.close()


async def _feed(producer: AIOKafkaProducer, leads: int) -> None:
    await asyncio.gather(*[await _send(producer) for _ in range(leads)])


async def _send(producer: AIOKafkaProducer) -> "asyncio.Future[object]":
    lead = new_id()
    key = lead.encode()
    headers = [("id", bytes.fromhex(lead.replace("-", "")))]
    future: asyncio.Future[object] = await producer.send(
        _topic(0), BODY, key=key, partition=zlib.crc32(key) % PARTITIONS, headers=headers
    )
    return future


def _topic(number: int) -> str:
    return f"bench.floor.{number}"


def _by_part(cpu: Mapping[str, float]) -> dict[str, float]:
    parts: dict[str, float] = {}
    for name, used in cpu.items():
        part = "Python" if name.startswith("hop") else name
        parts[part] = parts.get(part, 0.0) + used
    return parts
