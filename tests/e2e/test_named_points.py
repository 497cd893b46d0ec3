"""Killed at every named point: nothing is lost, nothing happens twice, every deadline is announced once.

Several services die in one round, each at a point of its own: the broker gives a dead consumer's partitions up only
after 6 s, and a fault seldom comes alone.
"""

import asyncio
import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest

from local_stack.blocking import run_blocking
from local_stack.children import Child
from shared.failpoints import POINTS, VARIABLE, Failpoint, Point

from .evidence import Evidence, settle, until
from .installation import Installation
from .policies import apply_policies
from .traffic import Traffic, seeded
from .verdict import find_faults, find_unfinished

pytestmark = pytest.mark.timeout(240)  # servers and five services start first, on whatever else runs here

SEED = os.environ.get("LEADRAIL_SEED", "2026-11")  # decides at which pass of its point a service dies
# Passes before the end. The door's are one a request; a batch may hold a whole round on a slow machine. Large enough at
# the door that the others die in the same second: downstream of a dead service nothing passes any point.
PASSES = {
    "door_verified": (15, 25), "door_before_commit": (10, 15), "door_after_commit": (10, 15),
    "outbox_before_publish": (4, 8), "rebalance": (1, 1),
}  # fmt: skip
PASSES_OF_OTHERS = (1, 4)
POURED, PER_SECOND = 20, 40.0
SLA_CHANGED = "leadrail.sla.changed.v1"
POLICIES = """
stages:
  - {id: assign, starts_with: capture}
  - {id: first_touch, starts_with: owner, met_by: [first_touch]}
calendars:
  - {id: always, always_open: true}
policies:
  - {id: assign_any, stage: assign, calendar: always, target: 10m}
  - id: nobody_calls
    stage: first_touch
    calendar: always
    starts_at: assigned
    target: 2s
    at_risk: {fraction: 0.5}
    on_breach: {action: notify}
"""
ROUNDS: Mapping[str, Mapping[str, Point]] = {
    "A": {
        "ingest": "door_verified", "consent": "batch_before_commit", "routing": "callback_claimed",
        "sla-monitor": "timer_claimed",
    },
    "B": {
        "ingest": "door_before_commit", "scoring": "rebalance", "routing": "batch_after_commit",
        "sla-monitor": "timer_committed",
    },
    "C": {
        "ingest": "door_after_commit", "scoring": "batch_published", "consent": "shutdown",
        "routing": "callback_sent",
    },
    "D": {
        "ingest": "outbox_before_publish", "scoring": "batch_after_commit", "routing": "batch_before_commit",
        "sla-monitor": "batch_published",
    },
}  # fmt: skip


def test_every_point_has_its_round() -> None:
    assert {point for victims in ROUNDS.values() for point in victims.values()} == set(POINTS)


@pytest.fixture(scope="module")
def timed(installation: Installation) -> None:
    """Let every lead's clock run out while the services die."""
    run_blocking(apply_policies(installation, POLICIES))


@pytest.mark.parametrize("name", ROUNDS)
@pytest.mark.usefixtures("timed")
async def test_services_killed_at_named_points_lose_nothing_and_repeat_nothing(
    installation: Installation, traffic: Traffic, name: str
) -> None:
    victims = ROUNDS[name]
    armed = {service: _failpoint(name, service, point) for service, point in victims.items()}
    await _restart_armed(installation, armed)
    over = asyncio.Event()
    pouring = asyncio.create_task(_pour_until(over, traffic, f"named-{name}"))
    try:
        await asyncio.gather(*(_see_die(installation, service, one) for service, one in armed.items()))
    finally:
        over.set()
    await pouring
    await asyncio.to_thread(installation.wait_ready, *victims)
    evidence = await settle(installation, lambda seen: [*find_unfinished(traffic.promises, seen), *_running(seen)])
    faults = [*find_faults(traffic.promises, evidence), *_judge_clocks(evidence)]
    assert faults == [], f"with LEADRAIL_SEED={SEED} and {[str(one) for one in armed.values()]}"


def _failpoint(name: str, service: str, point: Point) -> Failpoint:
    fewest, most = PASSES.get(point, PASSES_OF_OTHERS)
    return Failpoint(point, "kill", nth=seeded(f"{SEED}/{name}/{service}").randint(fewest, most))


async def _restart_armed(installation: Installation, armed: Mapping[str, Failpoint]) -> None:
    for service in armed:
        installation.services[service].child.send(signal.SIGTERM)
    for service, failpoint in armed.items():
        await asyncio.to_thread(installation.services[service].child.end_within, 25)
        installation.start(service, environment={VARIABLE: str(failpoint)})
    await asyncio.to_thread(installation.wait_ready, *armed)


async def _pour_until(over: asyncio.Event, traffic: Traffic, population: str) -> None:
    while not over.is_set():
        await traffic.pour(POURED, PER_SECOND, population)


async def _see_die(installation: Installation, service: str, failpoint: Failpoint) -> None:
    """Return once *service* has died at its point; a new one without failpoints is started then."""
    child = installation.services[service].child
    replica = None
    match failpoint.point:
        case "shutdown":
            child.send(signal.SIGTERM)
        case "rebalance":
            replica = installation.start_replica(service)

    async def alive() -> list[str]:
        return [f"the end of {service} at {failpoint}"] if child.exit_code() is None else []

    await until("the service dies", alive)
    assert child.exit_code() == -signal.SIGKILL, child.log_tail()
    assert _last_hit(child) == failpoint.point
    installation.start(service)
    if replica is not None:
        await asyncio.to_thread(replica.wait_ready)
        replica.child.send(signal.SIGTERM)
        await asyncio.to_thread(replica.child.end_within, 25)


def _last_hit(child: Child) -> str:
    """Return the point that the log's last line names: nothing is logged after a death."""
    line = json.loads(child.log.read_text("utf-8").splitlines()[-1])
    return str(line.get("point"))


def _running(evidence: Evidence) -> list[str]:
    clocks = [one for one in evidence.clocks if one["stage"] == "first_touch" and one["state"] != "breached"]
    return [f"{len(clocks)} clocks have not run out"] if clocks else []


def _judge_clocks(evidence: Evidence) -> Iterator[str]:
    """Every clock that ran out was announced in each of its states, as one event."""
    announced: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in evidence.events:
        if event.type == SLA_CHANGED:
            announced[event.body["clock_id"]][event.body["state"]].add(event.id)
    for clock in evidence.clocks:
        if clock["stage"] == "first_touch":
            told = {state: len(ids) for state, ids in announced[clock["clock_id"]].items()}
            if told != {"started": 1, "at_risk": 1, "breached": 1}:
                yield f"clock {clock['clock_id']} was announced as {told}"
