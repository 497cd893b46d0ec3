"""A broker that dies or does not answer; records that come again in another order; groups that start over."""

import asyncio
import signal
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from tests.e2e.evidence import TOPICS, Seen, read_topics
from tests.e2e.rewinding import GROUPS, PARTITIONS, publish_again

from .faults import Fault
from .faults_of_processes import NAMES, OfService, drain, kill
from .scene import Scene

GROUPS_OF = {name: [group for group in GROUPS if group.split("-")[0] == name.split("-")[0]] for name in NAMES}
TRIES = 30


@dataclass(frozen=True)
class KillBroker(Fault):
    """``kill -9`` of the broker, and a restart on its data."""

    kind: ClassVar[str] = "kill_broker"
    down_seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(round(chance.uniform(0, 2), 2))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold("broker"):
            await kill(scene.site.kafka.children[-1])
            scene.count("kill -9 of the broker")
            await asyncio.sleep(self.down_seconds)
            scene.site.kafka.launch()
            await asyncio.to_thread(scene.site.kafka.wait_ready)


@dataclass(frozen=True)
class FreezeBroker(Fault):
    """Nobody reaches the broker; the door answers 2xx all the same."""

    kind: ClassVar[str] = "freeze_broker"
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(round(chance.uniform(3, 8), 2))

    async def inject(self, scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        async with scene.hold("broker"):
            server = scene.site.kafka.children[-1]
            server.send(signal.SIGSTOP)
            scene.count("seconds without a broker", round(self.seconds))
            try:
                end = loop.time() + self.seconds
                while loop.time() < end:
                    await self._knock(scene)
                    await asyncio.sleep(0.2)
            finally:
                server.send(signal.SIGCONT)

    async def _knock(self, scene: Scene) -> None:
        before = scene.quiet_door()
        answer = await scene.knock()
        if before is None or before != scene.quiet_door():
            return  # something else was at work as well
        if answer is None or not answer.is_success:
            told = "nothing" if answer is None else f"{answer.status_code} {answer.text[:200]}"
            scene.found.append(f"without a broker ingest answered {told}, not 2xx")
        scene.count("posts answered 2xx without a broker")


@dataclass(frozen=True)
class Twins(Fault):
    """Records of a topic are appended to it again, in another order."""

    kind: ClassVar[str] = "twins"
    topic: str
    most: int
    seed: int

    @classmethod
    def draw(cls, chance: Random) -> Self:
        topics = [topic for topic in TOPICS if topic != "leads.parking"]
        return cls(chance.choice(topics), chance.randint(20, 80), chance.randrange(2**31))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold("broker"):
            events = await _read(scene, self.topic)
            Random(self.seed).shuffle(events)  # noqa: S311 - an order, no secret
            await publish_again(scene.site.installation, events[: self.most])
            scene.count("records published again in another order", len(events[: self.most]))


async def _read(scene: Scene, topic: str) -> list[Seen]:
    """Return the records of *topic*; a broker that has just started does not know its partitions yet."""
    for tries_left in reversed(range(TRIES)):
        try:
            return await read_topics(scene.site.installation, [topic])
        except (KafkaError, AssertionError):
            if not tries_left:
                raise
            await asyncio.sleep(0.3)
    raise AssertionError("the last try returns or raises")


@dataclass(frozen=True)
class Rewind(OfService):
    """The groups of a service start again at the first record of their topics."""

    kind: ClassVar[str] = "rewind"

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.choice(NAMES))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold("broker", self.service):
            await drain(scene, self.service)
            try:
                for group in GROUPS_OF[self.service]:
                    is_done = await _start_over(scene, group)
                    scene.count(f"group {group} rewound" if is_done else "group not rewound: it still had a member")
            finally:
                scene.site.start(self.service)


async def _start_over(scene: Scene, group: str) -> bool:
    """Commit the first offsets of *group*; a member that was killed is in it until its session ends."""
    installation = scene.site.installation
    partitions = [
        TopicPartition(installation.prefix + topic, number) for topic in GROUPS[group] for number in range(PARTITIONS)
    ]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.kafka, group_id=installation.prefix + group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        for _ in range(TRIES):
            try:
                await consumer.commit({partition: OffsetAndMetadata(0, "") for partition in partitions})
            except KafkaError:
                await asyncio.sleep(0.3)
            else:
                return True
        return False
    finally:
        await consumer.stop()
