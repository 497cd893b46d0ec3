"""One run of faults on a site: who may touch what at the same time, what was injected, what was found."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import httpx
from tests.e2e.traffic import Attempt, read_attempt, read_promises

from .illness import ask
from .site import Site

READY_SECONDS = 90.0
POLL_SECONDS = 0.1


class Scene:
    """What faults work with. ``found``: broken promises that faults saw; ``injected``: what was done how often."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.found: list[str] = []
        self.injected: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}
        self._door_troubles: Counter[str] = Counter()
        self._door_changes = 0

    def hold(self, *things: str) -> "Held":
        """Be the only one that starts and ends *things* (a service, ``postgres``, ``broker``) until the block ends."""
        return Held([self._locks.setdefault(thing, asyncio.Lock()) for thing in sorted(things)])

    def is_held(self, thing: str) -> bool:
        return thing in self._locks and self._locks[thing].locked()

    def count(self, what: str, times: int = 1) -> None:
        self.injected[what] += times

    @asynccontextmanager
    async def door_trouble(self, who: str) -> AsyncIterator[None]:
        """Say that the door may rightly be shut or answer 503, until the block ends and ingest is ready again."""
        self._door_changes += 1
        self._door_troubles[who] += 1
        try:
            yield
            await self.until_ready("ingest")
        finally:
            self._door_changes += 1
            self._door_troubles[who] -= 1

    def quiet_door(self, but_for: str = "") -> int | None:
        """Return a mark that stays the same while nothing but *but_for* disturbs the door; None when something does."""
        troubled = [who for who, times in self._door_troubles.items() if times > (who == but_for)]
        return None if troubled else self._door_changes

    async def until_ready(self, *names: str) -> None:
        """Return when all say that they can do their job; one that never does is a broken promise."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            for name in names:
                await self._until_ready(client, name)

    async def _until_ready(self, client: httpx.AsyncClient, name: str) -> None:
        loop = asyncio.get_running_loop()
        deadline, problem = loop.time() + READY_SECONDS, ""
        while loop.time() < deadline:
            try:
                answer = await client.get(f"{self.site.installation.urls[name]}/readyz")
                if answer.is_success:
                    return
                problem = answer.text[:300]
            except httpx.TransportError as error:
                problem = type(error).__name__
            await asyncio.sleep(POLL_SECONDS)
        self.found.append(f"{name} is not ready {READY_SECONDS:.0f} s after the faults: {problem}")

    async def knock(self) -> httpx.Response | None:
        """Post a delivery once, whatever comes back; a 2xx is a promise like any other. None without an answer."""
        traffic = self.site.traffic
        person = traffic.person("knock")
        delivery = traffic.delivery("zoom", person)
        digest = sha256(delivery.body).hexdigest()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                answer = await client.post(traffic.url("zoom"), content=delivery.body, headers=delivery.headers)
        except httpx.TransportError:
            traffic.attempts.append(Attempt("zoom", digest, 0))
            return None
        traffic.attempts.append(read_attempt(answer, "zoom", digest))
        if answer.is_success:
            traffic.promises += read_promises(answer, "zoom", person.email, delivery.body)
        return answer

    async def watch(self) -> None:
        """Start again what ended by itself, as a supervisor would, and tell of it. Returns never."""
        while True:
            for name, service in self.site.installation.services.items():
                code = service.child.exit_code()
                if code is not None and not self.is_held(name):
                    told = service.child.log_tail()[-500:]
                    self.found.append(f"{name} ended by itself with exit code {code}: {told}")
                    self.site.start(name)
            await asyncio.sleep(POLL_SECONDS)

    async def sql(self, query: str, *args: object) -> list[object]:
        return await ask(self.site.database_url, query, *args)


class Held:
    """Several locks, taken in one order by everybody: no two faults wait for each other."""

    def __init__(self, locks: list[asyncio.Lock]) -> None:
        self._locks = locks

    async def __aenter__(self) -> None:
        for lock in self._locks:
            await lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        for lock in reversed(self._locks):
            lock.release()
