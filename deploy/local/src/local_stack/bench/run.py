"""The benchmark from start to end: fresh data, warm-up, floor, bursts, the rate that holds, milliseconds per rate."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from local_stack.bench.database import Counter, let_it_count_statements
from local_stack.bench.floor import running_floor
from local_stack.bench.machine import commit, describe_machine
from local_stack.bench.measured import CONNECTIONS, Load
from local_stack.bench.medians import fold_floor, fold_paced, fold_saturation, fold_sustained, is_sustained
from local_stack.bench.mix import SHARES
from local_stack.bench.report import FloorReport, Paced, Phase, Report, Sustained
from local_stack.bench.rig import ENVIRONMENT, Rig, running_rig
from local_stack.blocking import run_blocking
from local_stack.forget import forget_data
from local_stack.postgres import Postgres
from local_stack.supervisor import RunningStack, running_stack
from shared.clock import SystemClock

Say = Callable[[str], None]

WARM_UP_STEP = 5_000
# Shares of a burst's rate to try; the first that holds wins.
SUSTAINED_STEPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
LEADS_PER_REQUEST = SHARES["new"] + SHARES["returning"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. ``leads``, ``warm_up``: requests. ``rates``: requests a second to take percentiles at."""

    data: Path
    leads: int = 20_000
    warm_up: int = 20_000
    runs: int = 3
    rates: tuple[float, ...] = (100.0,)
    seconds: float = 10.0
    connections: int = CONNECTIONS
    floor_leads: int = 30_000
    sustained: bool = True
    keep_data: bool = False


def run_bench(options: Options, say: Say) -> Report:
    """Measure everything and return it. The data is forgotten before, and after a run that went well.

    Errors: StackError when something does not start, or when a run broke a promise: such a run has no numbers.
    """
    if not options.keep_data:
        forget_data(options.data)
    if "DATABASE_URL" not in os.environ:
        _prepare_postgres(options.data)
    with running_stack(options.data, environment=ENVIRONMENT, say=say) as stack:
        report = asyncio.run(_measure(stack, options, say))
    if not options.keep_data:
        forget_data(options.data)
    return report


def _prepare_postgres(data: Path) -> None:
    """Make the data folder and have its server count statements from its next start."""
    data.mkdir(parents=True, exist_ok=True)
    postgres = Postgres(data, data / "logs")
    try:
        postgres.prepare()
        postgres.launch()
        postgres.wait_ready()
        run_blocking(let_it_count_statements(postgres.url))
    finally:
        postgres.stop()


async def _measure(stack: RunningStack, options: Options, say: Say) -> Report:
    at = SystemClock().now()
    machine = await asyncio.to_thread(describe_machine, options.data)
    counter = await Counter.open(stack.servers.database_url)
    postgres = await counter.describe()
    await counter.close()
    async with running_rig(stack, options.data) as rig:
        await _warm_up(rig, options, say)
        floor = await _measure_floor(stack, rig, options, say)
        bursts = [await _burst(rig, f"burst{number}", options, say) for number in range(1, options.runs + 1)]
        saturation = fold_saturation(bursts, floor)
        top = saturation.leads_per_second
        sustained = await _find_sustained(rig, top, options, say) if options.sustained else None
        paced = [await _measure_rate(rig, rate, options, say) for rate in options.rates]
    return Report(
        at=at,
        commit=commit(),
        machine=machine,
        postgres=postgres,
        floor=floor,
        saturation=saturation,
        sustained=sustained,
        paced=paced,
    )


async def _warm_up(rig: Rig, options: Options, say: Say) -> None:
    """Run leads through until the broker's JVM has compiled what it needs: a cold one takes three times the CPU."""
    sent = 0
    while sent < options.warm_up:
        count = min(WARM_UP_STEP, options.warm_up - sent)
        sent += count
        phase = await rig.run(Load(name=f"warm-up{sent}", count=count, connections=options.connections, seed=sent))
        say(f"warm-up: {sent} requests, {_line(phase)}")


async def _measure_floor(stack: RunningStack, rig: Rig, options: Options, say: Say) -> FloorReport:
    servers = stack.servers
    rate = min(options.rates, default=100.0)
    async with running_floor(servers.database_url, servers.kafka_bootstrap_servers, rig.servers) as floor:
        await floor.burst(options.floor_leads)  # five new interpreters and new topics are cold too
        runs = [await floor.burst(options.floor_leads) for _ in range(options.runs)]
        five_hops = await floor.paced(rate, options.seconds, seed=1)
    report = fold_floor(runs, rate, five_hops)
    say(f"floor: {report.leads_per_second:.0f} leads/s, {report.cpu_total:.0f} µs of CPU per lead")
    return report


async def _burst(rig: Rig, name: str, options: Options, say: Say) -> Phase:
    seed = 1_000 + int(name.removeprefix("burst"))
    phase = await rig.run(Load(name=name, count=options.leads, connections=options.connections, seed=seed))
    say(f"{name}: {_line(phase)}")
    return phase


async def _find_sustained(rig: Rig, top: float, options: Options, say: Say) -> Sustained:
    """Lower the rate until the time to a decision stops growing."""
    tried: list[Phase] = []
    for number, share in enumerate(SUSTAINED_STEPS):
        rate = top * share / LEADS_PER_REQUEST
        phase = await rig.run(
            Load(
                name=f"sustained{number}",
                count=max(1, int(rate * options.seconds)),
                rate=rate,
                connections=options.connections,
                seed=2_000 + number,
            )
        )
        tried.append(phase)
        word = "holds" if is_sustained(phase) else f"does not hold (grows by {phase.growth:.2f} s)"
        say(f"{rate:.0f} requests/s {word}: {_line(phase)}")
        if is_sustained(phase):
            break
    return fold_sustained(tried)


async def _measure_rate(rig: Rig, rate: float, options: Options, say: Say) -> Paced:
    runs = []
    for number in range(options.runs):
        count = max(1, int(rate * options.seconds))
        load = Load(
            name=f"rate{rate:.0f}-{number}",
            count=count,
            rate=rate,
            connections=options.connections,
            seed=3_000 + number,
        )
        runs.append(await rig.run(load))
    paced = fold_paced(rate, runs)
    if paced.assigned:
        say(f"{rate:.0f} requests/s: assigned after p50 {paced.assigned.p50} ms, p99 {paced.assigned.p99} ms")
    return paced


def _line(phase: Phase) -> str:
    return (
        f"{phase.leads} leads, {phase.leads_per_second:.0f}/s, {phase.cpu_total:.0f} µs of CPU per lead"
        f" (others used {phase.others:.0%} of the machine)"
    )
