"""Timers under kill -9, dropped connections, a frozen process and a clock that jumps: each fires, and has one effect.

Only sla-monitor runs: the leads' events are published by the test.
"""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

import psutil
import pytest

from local_stack.blocking import run_blocking
from local_stack.services import RunningService
from shared.clock import SystemClock, format_instant
from shared.contracts import LeadCaptured, encode_event
from shared.failpoints import VARIABLE
from shared.ids import new_id
from shared.kafka import Outgoing, Publisher
from shared.settings import ServiceSettings
from shared.testing.builders import make_captured, make_origin

from .evidence import execute, read_topics, rows, until
from .installation import Installation
from .policies import apply_policies
from .traffic import seeded

pytestmark = pytest.mark.timeout(240)  # servers and the services start first, on whatever else runs here

SEED = os.environ.get("LEADRAIL_SEED", "2026-11")  # decides when whom is killed: the same seed, the same moments
MONITOR = "sla-monitor"
STATES = ["started", "at_risk", "breached", "escalated"]
POLICIES = """
stages:
  - {id: assign, starts_with: capture}
calendars:
  - {id: always, always_open: true}
policies:
  - id: nobody_cares
    stage: assign
    calendar: always
    target: 2s
    at_risk: {fraction: 0.5}
    on_breach: {action: notify}
    escalate_after: 1s
"""
CLOCKS, SECONDS = 240, 6.0  # their deadlines spread over so long: three timers each
KILLS, DROPS_EACH = 2, 2
FROZEN_CLOCKS = 60
DROP = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'leadrail-sla-monitor' AND datname = current_database()
"""


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, service_environment: dict[str, str]
) -> Iterator[Installation]:
    """Yield an installation without sources and a CRM: one service, and deadlines of seconds."""
    made = Installation(tmp_path_factory.mktemp("timers"), database_url, service_environment, [MONITOR])
    try:
        made.start(MONITOR)
        made.wait_ready(MONITOR)
        run_blocking(apply_policies(made, POLICIES))
        yield made
    finally:
        made.close()


async def capture(installation: Installation, leads: int, seconds: float) -> list[str]:
    """Publish *leads* leads, received from now on over *seconds*; return their clocks' ids once all clocks run."""
    settings = ServiceSettings(KAFKA_BOOTSTRAP_SERVERS=installation.kafka, KAFKA_TOPIC_PREFIX=installation.prefix)
    start = SystemClock().now()
    events = [
        make_captured(origin=make_origin(received_at=start + timedelta(seconds=seconds * number / leads)))
        for number in range(leads)
    ]
    publisher = Publisher(settings, "leadrail/test")
    try:
        await publisher.publish([_outgoing(event) for event in events])
    finally:
        await publisher.close()
    clock_ids = [f"{event.origin.record_id}.assign" for event in events]

    async def missing() -> list[str]:
        known = {row["clock_id"] for row in await rows(installation, "SELECT clock_id FROM sla_monitor.clock")}
        return [one for one in clock_ids if one not in known]

    await until("every clock has started", missing)
    return clock_ids


def _outgoing(event: LeadCaptured) -> Outgoing:
    now = format_instant(SystemClock().now())
    return Outgoing(new_id(), event.type, event.topic, event.lead_id, now, encode_event(event))


async def run_out(installation: Installation, clock_ids: list[str]) -> None:
    """Return once every clock is in its last state and everything is published."""

    async def missing() -> list[str]:
        state_of = {
            row["clock_id"]: row["state"]
            for row in await rows(installation, "SELECT clock_id, state FROM sla_monitor.clock")
        }
        waiting = await rows(installation, "SELECT id::text FROM sla_monitor.outbox")
        return [
            *(f"{one} is {state_of[one]}" for one in clock_ids if state_of[one] != STATES[-1]),
            *(f"{row['id']} is not published" for row in waiting),
        ]

    await until("every clock runs out", missing, seconds=90)


async def find_faults(installation: Installation, clock_ids: list[str]) -> list[str]:
    """Return a sentence per clock that was not announced in each of its states, as one event."""
    ids: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for event in await read_topics(installation, ["leads.sla"]):
        ids[event.body["clock_id"]].setdefault(event.body["state"], set()).add(event.id)
    told = {one: {state: len(known) for state, known in ids[one].items()} for one in clock_ids}
    return [f"{one} was announced as {seen}" for one, seen in told.items() if seen != dict.fromkeys(STATES, 1)]


async def died(service: RunningService) -> None:
    async def alive() -> list[str]:
        return [service.child.name] if service.child.exit_code() is None else []

    await until("the process dies at its point", alive)
    assert service.child.exit_code() == -signal.SIGKILL, service.child.log_tail()


async def test_every_timer_fires_and_has_one_effect_whoever_is_killed_and_whatever_connection_drops(
    installation: Installation,
) -> None:
    chance = seeded(f"{SEED}/timers")
    doomed = [
        installation.start_replica(MONITOR, {VARIABLE: f"{point}=kill@{chance.randint(2, 12)}"})
        for point in ("timer_claimed", "timer_committed")
    ]
    for one in doomed:
        await asyncio.to_thread(one.wait_ready)
    clock_ids = await capture(installation, CLOCKS, SECONDS)
    for _ in range(KILLS):
        for _ in range(DROPS_EACH):
            await asyncio.sleep(chance.uniform(0, 0.7))  # anywhere between two of our own steps
            await execute(installation, DROP)
        await asyncio.sleep(chance.uniform(0, 0.7))
        installation.kill(MONITOR)
        installation.start(MONITOR)
        await asyncio.to_thread(installation.wait_ready, MONITOR)
    for one in doomed:
        await died(one)
    await run_out(installation, clock_ids)
    assert await find_faults(installation, clock_ids) == [], f"with LEADRAIL_SEED={SEED}"


async def test_timers_of_a_frozen_process_are_fired_by_another_whose_clock_jumps_and_once_it_wakes_by_nobody(
    installation: Installation,
) -> None:
    chance = seeded(f"{SEED}/frozen")
    installation.kill(MONITOR)
    installation.start(MONITOR, environment={VARIABLE: f"clock=shift:30@{chance.randint(100, 300)}"})
    frozen = installation.start_replica(MONITOR, {VARIABLE: "timer_claimed=stop@2"})
    await asyncio.to_thread(installation.wait_ready, MONITOR)
    await asyncio.to_thread(frozen.wait_ready)
    clock_ids = await capture(installation, FROZEN_CLOCKS, 2.0)

    async def running() -> list[str]:
        status = psutil.Process(frozen.child.pid).status()
        return [] if status == psutil.STATUS_STOPPED else [f"the replica is {status}"]

    await until("the replica freezes with timers in hand", running)
    await run_out(installation, clock_ids)
    frozen.child.send(signal.SIGCONT)
    clock_ids += await capture(installation, FROZEN_CLOCKS // 3, 1.0)
    await run_out(installation, clock_ids)
    assert await find_faults(installation, clock_ids) == [], f"with LEADRAIL_SEED={SEED}"
    assert '"point":"clock"' in installation.log_of(MONITOR).replace(" ", ""), "the clock has jumped"
