"""Services that die, freeze, hang, multiply, or whose clock jumps."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

import psutil

from local_stack.children import Child
from local_stack.services import SERVICES, RunningService
from shared.failpoints import Failpoint, Point

from .faults import Fault
from .scene import Scene

NAMES = tuple(service.name for service in SERVICES)
SESSION_SECONDS = 6.0  # the broker gives the partitions of a silent member away after this long
DRAIN_SECONDS = 25.0
START_SECONDS = 40.0
REACH_SECONDS = 9.0  # of being up; a point that is not reached by then is counted as such
POLL_SECONDS = 0.05
BATCH_POINTS: tuple[Point, ...] = ("batch_before_commit", "batch_after_commit", "batch_published", "rebalance")
POINTS_OF: dict[str, tuple[Point, ...]] = {
    "ingest": ("door_verified", "door_before_commit", "door_after_commit", "outbox_before_publish", *BATCH_POINTS),
    "scoring": BATCH_POINTS,
    "consent": BATCH_POINTS,
    "routing": ("callback_claimed", "callback_sent", *BATCH_POINTS),
    "sla-monitor": ("timer_claimed", "timer_committed", *BATCH_POINTS),
}
MOST_PASSES = {"shutdown": 3, "rebalance": 1, "timer_claimed": 1, "timer_committed": 1, "outbox_before_publish": 2}
# Ten minutes ahead: leads of this minute are at risk, their timers due; a quarter of an hour would reassign them.
TIMERS_DUE = Failpoint("clock", "shift", 600.0, 20)
# Ahead, ingest refuses signatures older than 5 minutes, and routing leases what it sends until the clock is back there.
SHIFTS = {"ingest": (-60, 60), "routing": (-600, 15)}
ANY_SHIFT = (-600, 600)


@dataclass(frozen=True)
class OfService(Fault):
    """Strikes one service; where that is ingest, nobody may be behind the door."""

    service: str

    @property
    def shuts_door(self) -> bool:
        return self.service == "ingest"


@dataclass(frozen=True)
class Kill(OfService):
    """``kill -9``, at any instant."""

    kind: ClassVar[str] = "kill"
    weight: ClassVar[int] = 6
    down_seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.choice(NAMES), chance.choice((0.0, 0.0, 0.0, round(chance.uniform(0.5, 3), 2))))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            await kill(scene.site.child(self.service))
            scene.count(f"kill -9 of {self.service}")
            await asyncio.sleep(self.down_seconds)
            scene.site.start(self.service)


@dataclass(frozen=True)
class KillAtPoint(OfService):
    """The service dies at a named point, at its nth pass."""

    kind: ClassVar[str] = "kill_at"
    weight: ClassVar[int] = 6
    point: str
    nth: int

    @classmethod
    def draw(cls, chance: Random) -> Self:
        service = chance.choice(NAMES)
        point = chance.choice((*POINTS_OF[service], "shutdown"))
        return cls(service, point, draw_pass(point, chance))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            await arm(scene, self.service, armed(Failpoint(self.point, "kill", nth=self.nth)))
            child = scene.site.child(self.service)
            replicas = provoke(scene, self.service, self.point)
            await until(lambda: child.exit_code() is not None)
            is_reached = child.exit_code() == -signal.SIGKILL
            scene.count(f"kill -9 of {self.service} at {self.point}" if is_reached else f"{self.point} not reached")
            await restart(scene, self.service)
            await end_all(replicas, signal.SIGTERM)


@dataclass(frozen=True)
class Freeze(OfService):
    """SIGSTOP for longer than the session timeout, at any instant; another process takes over; then SIGCONT."""

    kind: ClassVar[str] = "freeze"
    weight: ClassVar[int] = 2
    seconds: float
    with_replica: bool

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.choice(NAMES), round(SESSION_SECONDS + chance.uniform(0.8, 2.5), 2), chance.random() < 0.7)

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            replicas = [scene.site.installation.start_replica(self.service)] if self.with_replica else []
            try:
                await haunt(scene, self.service, self.seconds)
            finally:
                await end_all(replicas, signal.SIGTERM)


@dataclass(frozen=True)
class FreezeAtPoint(OfService):
    """The service stops itself at a named point; another takes over; the zombie wakes up and goes on from there."""

    kind: ClassVar[str] = "freeze_at"
    weight: ClassVar[int] = 2
    point: str
    nth: int
    seconds: float
    awake_seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        service = chance.choice(NAMES)
        point = chance.choice(POINTS_OF[service])
        seconds = round(SESSION_SECONDS + chance.uniform(0.8, 2.5), 2)
        return cls(service, point, draw_pass(point, chance), seconds, round(chance.uniform(0, 2), 2))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            await arm(scene, self.service, armed(Failpoint(self.point, "stop", nth=self.nth)))
            child = scene.site.child(self.service)
            replicas = provoke(scene, self.service, self.point)
            await until(lambda: is_stopped(child))
            if is_stopped(child):
                scene.count(f"SIGSTOP of {self.service} at {self.point}")
                replicas = replicas or [scene.site.installation.start_replica(self.service)]
                await asyncio.sleep(self.seconds)
                child.send(signal.SIGCONT)
                await asyncio.sleep(self.awake_seconds)
            else:
                scene.count(f"{self.point} not reached")
            await restart(scene, self.service)
            await end_all(replicas, signal.SIGTERM)


@dataclass(frozen=True)
class Scale(OfService):
    """One replica, three, one again, under load."""

    kind: ClassVar[str] = "scale"
    weight: ClassVar[int] = 1
    seconds: float
    end: str

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.choice(NAMES), round(chance.uniform(3, 6), 2), chance.choice(("SIGTERM", "SIGKILL")))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            replicas = [scene.site.installation.start_replica(self.service) for _ in range(2)]
            try:
                for replica in replicas:
                    await until_answers(scene, self.service, replica.child, replica.url)
                await asyncio.sleep(self.seconds)
                scene.count(f"{self.service} 1 to 3 to 1 replicas")
            finally:
                await end_all(replicas, signal.Signals[self.end])


@dataclass(frozen=True)
class ClockJump(OfService):
    """The clock of a service jumps and stays off for some seconds."""

    kind: ClassVar[str] = "clock_jump"
    weight: ClassVar[int] = 1
    shift_seconds: int
    nth: int
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        service = chance.choice(NAMES)
        least, most = SHIFTS.get(service, ANY_SHIFT)
        shift = chance.choice((chance.randint(least, -1), chance.randint(1, most)))
        return cls(service, shift, chance.randint(5, 80), round(chance.uniform(3, 6), 2))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold(self.service):
            await arm(scene, self.service, str(Failpoint("clock", "shift", float(self.shift_seconds), self.nth)))
            await asyncio.sleep(self.seconds)
            is_reached = '"point": "clock"' in scene.site.installation.log_of(self.service)[-20_000:]
            scene.count(f"clock of {self.service} jumps" if is_reached else "clock not reached")
            await restart(scene, self.service)


def draw_pass(point: str, chance: Random) -> int:
    """Return at which pass of *point* something shall happen: one that comes within seconds."""
    return chance.randint(1, MOST_PASSES.get(point, 5))


def provoke(scene: Scene, service: str, point: str) -> list[RunningService]:
    """Do what brings *service* to a *point* that load alone does not; return the replicas started for it."""
    if point == "shutdown":
        scene.site.child(service).send(signal.SIGTERM)
    return [scene.site.installation.start_replica(service)] if point == "rebalance" else []


def armed(failpoint: Failpoint) -> str:
    """Return what to arm: timers of a young installation are not due yet, so their points want a clock ahead."""
    return f"{failpoint},{TIMERS_DUE}" if failpoint.point.startswith("timer_") else str(failpoint)


async def haunt(scene: Scene, service: str, seconds: float) -> None:
    """Freeze *service* for *seconds*; the thaw is not forgotten when the run ends meanwhile."""
    child = scene.site.child(service)
    child.send(signal.SIGSTOP)
    scene.count(f"SIGSTOP of {service}")
    try:
        await asyncio.sleep(seconds)
    finally:
        child.send(signal.SIGCONT)


async def arm(scene: Scene, service: str, failpoints: str) -> None:
    """Restart *service* with *failpoints*; return when it answers or has died of them.

    In good order: the partitions of a killed member stay with it for its session's six seconds.
    """
    await drain(scene, service)
    scene.site.start(service, failpoints)
    await until_answers(scene, service, scene.site.child(service))


async def drain(scene: Scene, service: str) -> None:
    child = scene.site.child(service)
    child.send(signal.SIGTERM)
    await asyncio.to_thread(child.end_within, DRAIN_SECONDS)


async def restart(scene: Scene, service: str) -> None:
    """Kill *service* unless it is dead, and start it again."""
    await kill(scene.site.child(service))
    scene.site.start(service)


async def kill(child: Child) -> None:
    child.send(signal.SIGKILL)
    await asyncio.to_thread(child.end_within, 10)


async def end_all(replicas: list[RunningService], number: signal.Signals) -> None:
    for replica in replicas:
        replica.child.send(number)
    await asyncio.gather(*(asyncio.to_thread(replica.child.end_within, DRAIN_SECONDS) for replica in replicas))


async def until(is_so: Callable[[], bool], seconds: float = REACH_SECONDS) -> None:
    """Return once *is_so*, or after *seconds*."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not is_so() and loop.time() < deadline:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(POLL_SECONDS)


async def until_answers(scene: Scene, service: str, child: Child, url: str | None = None) -> None:
    """Return once *child* answers at all, has ended, or after some seconds."""
    host, _, port = (url or scene.site.installation.urls[service]).removeprefix("http://").partition(":")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_SECONDS
    while child.exit_code() is None and not is_stopped(child) and loop.time() < deadline:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
        else:
            writer.close()
            return


def is_stopped(child: Child) -> bool:
    try:
        return psutil.Process(child.pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
