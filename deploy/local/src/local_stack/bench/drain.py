"""Tells when the pipeline has nothing left to do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from local_stack.bench.decisions import looking_at
from local_stack.failure import StackError
from shared.contracts.topics import TOPICS

# Each look costs the broker a dozen requests and the door one: twice a second is under one per cent of both.
LOOK_SECONDS = 0.5
READ_BY = {
    group: {topic.name for topic in TOPICS if group in topic.consumers}
    for group in sorted({group for topic in TOPICS for group in topic.consumers})
}

ALL = [topic.name for topic in TOPICS]


class Ledger(NamedTuple):
    """What ingest says of every record it ever accepted."""

    accepted: int
    in_flight: int
    parked: int
    quarantined: int
    is_balanced: bool
    states: dict[str, int]


class Pipeline:
    """Looks at queues from outside: consumer lag in Kafka, the ledger over HTTP, what the CRM received."""

    def __init__(
        self, *, ingest_url: str, crm_url: str, http: httpx.AsyncClient, admin: AIOKafkaAdminClient,
        consumer: AIOKafkaConsumer,
    ) -> None:  # fmt: skip
        self._ingest_url = ingest_url
        self._crm_url = crm_url
        self._http = http
        self._admin = admin
        self._consumer = consumer

    async def ledger(self, *, verify: bool = False) -> Ledger:
        """Return the ledger; *verify* counts every record again instead of believing the counters."""
        answer = await self._http.get(f"{self._ingest_url}/v1/ledger", params={"verify": verify})
        answer.raise_for_status()
        view = answer.json()
        states = {
            **view["mapped_by_state"],
            **{name: view[name] for name in ("activity", "ignored", "quarantined", "discarded")},
        }
        return Ledger(
            accepted=view["accepted"],
            in_flight=view["in_flight"],
            parked=states.get("parked", 0),
            quarantined=view["quarantined"],
            is_balanced=view["balanced"],
            states=states,
        )

    async def lag(self) -> dict[str, int]:
        """Return the events each consumer group has still to do; groups that have none are left out."""
        committed: dict[str, dict[TopicPartition, OffsetAndMetadata]] = {
            group: await self._admin.list_consumer_group_offsets(group) for group in READ_BY
        }
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        behind = {
            group: sum(
                end - (offsets[partition].offset if partition in offsets else 0)
                for partition, end in ends.items()
                if partition.topic in READ_BY[group]
            )
            for group, offsets in committed.items()
        }
        return {group: events for group, events in behind.items() if events}

    async def callbacks(self) -> int:
        """Return how many callbacks the CRM has verified so far."""
        answer = await self._http.get(self._crm_url)
        answer.raise_for_status()
        received: int = answer.json()["received"]
        return received

    async def drained(self, seconds: float, is_alive: Callable[[], None]) -> None:
        """Return when nobody lags, nothing is in flight and no callback is still to come.

        Errors: StackError when it takes longer than *seconds*; what *is_alive* raises when a process has ended.
        """
        callbacks = -1
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            is_alive()
            lag = await self.lag()
            ledger = await self.ledger()
            before, callbacks = callbacks, await self.callbacks()
            if not lag and not ledger.in_flight and callbacks == before:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise StackError(
                    f"After {seconds:.0f} s the pipeline is not done: {ledger.in_flight} in flight, lag {lag}."
                )
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def watching(*, ingest_url: str, crm_url: str, admin_key: str, bootstrap_servers: str) -> AsyncIterator[Pipeline]:
    """Connect to the parts of a running pipeline; disconnect at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    headers = {"Authorization": f"Bearer {admin_key}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
        looking_at(bootstrap_servers, ALL) as consumer,
    ):
        await admin.start()
        try:
            yield Pipeline(ingest_url=ingest_url, crm_url=crm_url, http=http, admin=admin, consumer=consumer)
        finally:
            await admin.close()
