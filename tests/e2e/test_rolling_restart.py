"""Every service is replaced under load, as a rollout does it: the new process is ready before the old one is told."""

import asyncio
import signal

import pytest

from .balancer import BalancedTraffic
from .evidence import settle
from .installation import NAMES, Installation
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(300)

PER_SECOND = 40.0
TURN_AWAY_SECONDS = 2.0  # twenty looks of the balancer
END_SECONDS = 30.0


@pytest.fixture(scope="module")
def extra_environment() -> dict[str, str]:
    """Return how long a service turns callers away: the balancer must have noticed by then."""
    return {"LEADRAIL_TURN_AWAY_SECONDS": str(TURN_AWAY_SECONDS)}


async def test_every_service_is_replaced_under_load_without_an_error_at_the_door(installation: Installation) -> None:
    traffic = BalancedTraffic(installation)
    replicas = {name: installation.start_replica(name) for name in NAMES}
    doors = (installation.urls["ingest"], replicas["ingest"].url)
    enough = asyncio.Event()
    codes = {}
    async with traffic.balanced(*doors):
        pouring = asyncio.create_task(traffic.pour_until(enough, PER_SECOND, "rolling"))
        for name in NAMES:
            await asyncio.to_thread(replicas[name].wait_ready)
            old = installation.services[name].child
            old.send(signal.SIGTERM)
            await asyncio.to_thread(old.end_within, END_SECONDS)
            codes[name] = old.exit_code()
        enough.set()
        await pouring
    assert codes == dict.fromkeys(NAMES, 0)
    assert traffic.repeated == 0, [attempt for attempt in traffic.attempts if not attempt.record_ids]
    assert min(traffic.taken[door] for door in doors) > 0, traffic.taken
    evidence = await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))
    assert find_faults(traffic.promises, evidence, traffic.attempts) == []
