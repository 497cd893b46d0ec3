"""Any service may die, or be told to stop, at any moment under load: nothing is lost, nothing happens twice."""

import asyncio
import os
import signal
import time

import pytest

from .evidence import settle
from .installation import NAMES, Installation
from .traffic import Traffic, seeded
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

SEED = os.environ.get("LEADRAIL_SEED", "2026-11")  # decides when whom is killed: the same seed, the same moments
LEADS = 180
PER_SECOND = 60.0
DRAIN_SECONDS = 20.0


async def judge(installation: Installation, traffic: Traffic) -> list[str]:
    """Return every broken promise, of all the promises that were ever given here, once nothing moves any more."""
    evidence = await settle(installation, lambda seen: find_unfinished(traffic.promises, seen))
    return find_faults(traffic.promises, evidence, traffic.attempts)


@pytest.mark.parametrize("victim", NAMES)
async def test_killed_service_loses_nothing_and_repeats_nothing(
    installation: Installation, traffic: Traffic, victim: str
) -> None:
    chance = seeded(f"{SEED}/{victim}")
    pouring = asyncio.create_task(traffic.pour(LEADS, PER_SECOND, f"kill-{victim}"))
    await traffic.promised(chance.randrange(LEADS // 6, LEADS // 2), pouring)
    await asyncio.sleep(chance.uniform(0, 0.05))  # anywhere between two of our own steps
    installation.kill(victim)
    installation.start(victim)
    await pouring
    await asyncio.to_thread(installation.wait_ready, victim)
    assert await judge(installation, traffic) == [], f"with LEADRAIL_SEED={SEED}"


@pytest.mark.parametrize("service", NAMES)
async def test_service_told_to_stop_under_load_drains_and_ends_well(
    installation: Installation, traffic: Traffic, service: str
) -> None:
    chance = seeded(f"{SEED}/stop/{service}")
    pouring = asyncio.create_task(traffic.pour(LEADS // 3, PER_SECOND, f"stop-{service}"))
    await traffic.promised(chance.randrange(LEADS // 12, LEADS // 6), pouring)
    child = installation.services[service].child
    told_at = time.monotonic()
    child.send(signal.SIGTERM)
    await asyncio.to_thread(child.end_within, DRAIN_SECONDS)
    took = time.monotonic() - told_at
    installation.start(service)
    await pouring
    await asyncio.to_thread(installation.wait_ready, service)
    assert (child.exit_code(), took < DRAIN_SECONDS) == (0, True), child.log_tail()
    assert await judge(installation, traffic) == [], f"with LEADRAIL_SEED={SEED}"
