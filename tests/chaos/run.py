"""Faults under load, then peace, then judgement."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.e2e.evidence import collect, settle, until
from tests.e2e.installation import NAMES
from tests.e2e.rewinding import find_lag
from tests.e2e.verdict import find_faults, find_unfinished

from .plan import Step
from .scene import Scene
from .site import Site

HEAL_SECONDS = 400.0  # a fault may wait for the one that holds what it needs
SETTLE_SECONDS = 150.0
CHUNK_SECONDS = 1.0

Say = Callable[[str], None]


@dataclass
class Report:
    """What a run did and found. ``found`` is empty when every promise was kept."""

    faults: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    injected: dict[str, int] = field(default_factory=dict)
    promises: int = 0
    repeated: int = 0
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "faults": self.faults, "kinds": dict(sorted(self.kinds.items())),
            "injected": dict(sorted(self.injected.items())), "promises": self.promises,
            "posts_repeated": self.repeated, "seconds": round(self.seconds, 1), "found": self.found,
        }  # fmt: skip

    def add(self, other: "Report") -> None:
        """Count *other* in."""
        self.faults += other.faults
        self.promises += other.promises
        self.repeated += other.repeated
        self.seconds += other.seconds
        self.found += other.found
        for mine, its in ((self.kinds, other.kinds), (self.injected, other.injected)):
            for name, times in its.items():
                mine[name] = mine.get(name, 0) + times


async def run_plan(site: Site, steps: Sequence[Step], *, per_second: float, at_once: int, say: Say = print) -> Report:
    """Inject *steps* under load of *per_second* leads, at most *at_once* at the same time; judge when all is healed."""
    loop = asyncio.get_running_loop()
    scene, report, began = Scene(site), Report(faults=len(steps)), loop.time()
    promises, repeated = len(site.traffic.promises), site.traffic.repeated
    over = asyncio.Event()
    pouring = asyncio.create_task(_pour(scene, per_second, over))
    watching = asyncio.create_task(scene.watch())
    try:
        await _inject(scene, steps, pouring, report, at_once, say)
    finally:
        over.set()
        say(f"all faults are injected ({loop.time() - began:.0f} s)")
        await pouring
        await scene.until_ready(*NAMES)
        watching.cancel()
    say(f"all services are ready ({loop.time() - began:.0f} s)")
    if watching.done() and not watching.cancelled() and (error := watching.exception()):
        raise error
    report.found = [*scene.found, *await judge(site)]
    report.injected = dict(scene.injected)
    report.promises = len(site.traffic.promises) - promises
    report.repeated = site.traffic.repeated - repeated
    report.seconds = loop.time() - began
    return report


async def judge(site: Site) -> list[str]:
    """Return every broken promise, of all that were ever given on this site, once nothing moves any more."""

    async def unfinished() -> list[str]:
        return find_unfinished(site.traffic.promises, await collect(site.installation))

    try:
        # Twins may still be on their way when every lead has arrived: what they would change shall be seen.
        await until("the consumers are done", lambda: find_lag(site.installation), SETTLE_SECONDS)
        await until("every lead has arrived", unfinished, SETTLE_SECONDS)
    except pytest.fail.Exception as unsettled:
        return [str(unsettled)]
    evidence = await settle(site.installation, lambda seen: find_unfinished(site.traffic.promises, seen))
    return find_faults(site.traffic.promises, evidence)


async def _inject(
    scene: Scene, steps: Sequence[Step], pouring: "asyncio.Task[None]", report: Report, at_once: int, say: Say
) -> None:
    gate = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as group:
        for number, step in enumerate(steps, 1):
            await gate.acquire()
            if step.promises:
                await scene.site.traffic.promised(step.promises, pouring)
            await asyncio.sleep(step.seconds)
            say(f"{number}/{len(steps)} {step.fault}")
            report.kinds[step.fault.kind] = report.kinds.get(step.fault.kind, 0) + 1
            group.create_task(_strike(scene, step)).add_done_callback(lambda _: gate.release())


async def _strike(scene: Scene, step: Step) -> None:
    """Inject one fault. One that does not heal is told of, and ends no other one."""
    try:
        async with asyncio.timeout(HEAL_SECONDS):
            if step.fault.shuts_door:
                async with scene.door_trouble(str(step.fault)):
                    await step.fault.inject(scene)
            else:
                await step.fault.inject(scene)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on and fails with it
        scene.found.append(f"{step.fault} did not heal: {type(error).__name__}: {error}")


async def _pour(scene: Scene, per_second: float, over: asyncio.Event) -> None:
    while not over.is_set():
        try:
            await scene.site.traffic.pour(max(1, round(per_second * CHUNK_SECONDS)), per_second, "chaos")
        except ExceptionGroup as failed:
            scene.found.append(f"a sender got no 2xx: {_innermost(failed)}")


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
