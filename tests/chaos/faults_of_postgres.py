"""A PostgreSQL that dies, drops connections, finds deadlocks, has no room, or is slow."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, ClassVar, Self

import asyncpg
import httpx

from local_stack.failure import StackError

from .faults import Fault
from .faults_of_processes import kill
from .illness import AWAY, DEADLOCK, DISK_FULL, SCHEMAS, SERIALIZATION, ill_database
from .scene import Scene
from .site import Site

LAUNCHES = 40
_traps = count(0x0DEAD)  # advisory locks of a class of their own each: those of an earlier trap may still be held
LOOKS = 40
DETECTED = "deadlock detected"
SOMEBODY_WAITS = """
    SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_blocking_pids(pid) @> ARRAY[pg_backend_pid()]
"""
SESSIONS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'leadrail-%' AND random() < $1
"""


@dataclass(frozen=True)
class OfPostgres(Fault):
    """Every service needs the database: the door may answer 503."""

    @property
    def shuts_door(self) -> bool:
        return True


@dataclass(frozen=True)
class KillPostgres(OfPostgres):
    """``kill -9`` of the postmaster; it recovers from its log."""

    kind: ClassVar[str] = "kill_postgres"
    down_seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(round(chance.uniform(0, 3), 2))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold("postgres"):
            await kill(scene.site.postgres.children[-1])
            scene.count("kill -9 of PostgreSQL")
            await asyncio.sleep(self.down_seconds)
            await relaunch(scene.site)


@dataclass(frozen=True)
class DropConnections(OfPostgres):
    """Connections of the services are cut, also in the middle of a transaction, again and again."""

    kind: ClassVar[str] = "drop_connections"
    weight: ClassVar[int] = 2
    times: int
    share: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.randint(3, 15), round(chance.uniform(0.1, 0.7), 2))

    async def inject(self, scene: Scene) -> None:
        for _ in range(self.times):
            cut = await scene.sql(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) AS session", self.share)  # noqa: S608 - ours
            scene.count("connections cut", len(cut))
            await asyncio.sleep(0.15)


@dataclass(frozen=True)
class SqlErrors(OfPostgres):
    """Writes fail with the errors that say: try again."""

    kind: ClassVar[str] = "sql_errors"
    weight: ClassVar[int] = 2
    sqlstate: str
    probability: float
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        sqlstate = chance.choice((DEADLOCK, SERIALIZATION))
        return cls(sqlstate, round(chance.uniform(0.02, 0.3), 2), round(chance.uniform(2, 5), 2))

    async def inject(self, scene: Scene) -> None:
        async with ill_database(scene.site.database_url, SCHEMAS, self.probability, self.sqlstate):
            scene.count(f"seconds of errors {self.sqlstate}", round(self.seconds))
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Deadlocks(OfPostgres):
    """A hostile session takes locks in the reverse order; PostgreSQL makes a writing service the victim."""

    kind: ClassVar[str] = "deadlocks"
    schemas: tuple[str, ...]

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(tuple(chance.choice(SCHEMAS) for _ in range(chance.randint(2, 4))))

    async def inject(self, scene: Scene) -> None:
        log = scene.site.postgres.children[-1].log
        before = log.read_text("utf-8", "replace").count(DETECTED)
        for schema in self.schemas:
            with contextlib.suppress(asyncpg.PostgresError, *AWAY):
                await self._be_hostile(scene.site.database_url, schema)
        scene.count("hostile transactions", len(self.schemas))
        scene.count("deadlocks that PostgreSQL detected", log.read_text("utf-8", "replace").count(DETECTED) - before)

    async def _be_hostile(self, database_url: str, schema: str) -> None:
        # It looks for deadlocks late: the service looks first, and is the victim.
        hostile = await asyncpg.connect(database_url, server_settings={"deadlock_timeout": "5s"}, command_timeout=8)
        trap = next(_traps)
        try:
            async with hostile.transaction(), ill_database(database_url, (schema,), 1.0, trap=trap):
                await hostile.execute("SELECT pg_advisory_xact_lock($1, 2)", trap)
                for _ in range(LOOKS):
                    if await hostile.fetchval(SOMEBODY_WAITS):
                        break
                    await asyncio.sleep(0.05)
                await hostile.execute("SELECT pg_advisory_xact_lock($1, 1)", trap)
        finally:
            hostile.terminate()


@dataclass(frozen=True)
class DiskFull(OfPostgres):
    """No write of ingest, or of anybody, finds room: the door says 503 and when to come again."""

    kind: ClassVar[str] = "disk_full"
    is_everywhere: bool
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.random() < 0.5, round(chance.uniform(1.5, 4), 2))

    async def inject(self, scene: Scene) -> None:
        schemas = SCHEMAS if self.is_everywhere else ("ingest",)
        loop = asyncio.get_running_loop()
        async with ill_database(scene.site.database_url, schemas, 1.0, DISK_FULL):
            scene.count("seconds of a full disk", round(self.seconds))
            end = loop.time() + self.seconds
            while loop.time() < end:
                await self._knock(scene)
                await asyncio.sleep(0.2)

    async def _knock(self, scene: Scene) -> None:
        before = scene.quiet_door(but_for=str(self))
        answer = await scene.knock()
        if before is None or before != scene.quiet_door(but_for=str(self)):
            return  # something else was at work as well
        is_told = answer is not None and answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        if answer is None or not is_told or "retry-after" not in answer.headers:
            told = "nothing" if answer is None else f"{answer.status_code} {answer.text[:200]}"
            scene.found.append(f"with a full disk ingest answered {told}, not 503 with Retry-After")
        scene.count("posts answered 503 with Retry-After while the disk was full")


@dataclass(frozen=True)
class SlowDatabase(OfPostgres):
    """Every write waits."""

    kind: ClassVar[str] = "slow_database"
    write_seconds: float
    probability: float
    seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        wait = round(chance.uniform(0.01, 0.3), 3)
        return cls(wait, round(chance.uniform(0.1, 0.6), 2), round(chance.uniform(2, 5), 2))

    async def inject(self, scene: Scene) -> None:
        async with ill_database(scene.site.database_url, SCHEMAS, self.probability, seconds=self.write_seconds):
            scene.count("seconds of a slow database", round(self.seconds))
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class FrozenSessions(OfPostgres):
    """Bursts of SIGSTOP to the processes that serve the services, with whatever locks they hold."""

    kind: ClassVar[str] = "frozen_sessions"
    times: int
    share: float
    burst_seconds: float

    @classmethod
    def draw(cls, chance: Random) -> Self:
        return cls(chance.randint(3, 8), round(chance.uniform(0.2, 0.9), 2), round(chance.uniform(0.1, 0.6), 2))

    async def inject(self, scene: Scene) -> None:
        async with scene.hold("postgres"):
            for _ in range(self.times):
                rows: list[Any] = await scene.sql(SESSIONS, self.share)
                pids = [row["pid"] for row in rows]
                try:
                    send_all(pids, signal.SIGSTOP)
                    scene.count("sessions frozen for a moment", len(pids))
                    await asyncio.sleep(self.burst_seconds)
                finally:
                    send_all(pids, signal.SIGCONT)
                await asyncio.sleep(0.2)


def send_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def relaunch(site: Site) -> None:
    """Start the server until it stays: while a session of the killed one still lives, it refuses."""
    for launches_left in reversed(range(LAUNCHES)):
        site.postgres.launch()
        try:
            await asyncio.to_thread(site.postgres.wait_ready)
        except StackError:
            if not launches_left:
                raise
            await asyncio.sleep(0.3)
        else:
            return
