"""Folds several runs of one thing into one."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from local_stack.bench.floor import FloorRun
from local_stack.bench.percentiles import Latency, median_of
from local_stack.bench.report import FloorReport, Paced, Phase, Saturation, Sustained

GROWTH_ALLOWED = 0.25
"""Seconds. Five per cent too many arrivals let the wait grow by 250 ms within five seconds; noise stays below."""


def fold_floor(runs: Sequence[FloorRun], paced_rate: float, five_hops: Latency | None) -> FloorReport:
    return FloorReport(
        runs=list(runs),
        leads_per_second=statistics.median(run.leads_per_second for run in runs),
        cpu_total=statistics.median(run.cpu_total for run in runs),
        cpu=_by_name(run.cpu for run in runs),
        paced_rate=paced_rate,
        five_hops=five_hops,
    )


def fold_saturation(runs: Sequence[Phase], floor: FloorReport) -> Saturation:
    statements = [run.statements for run in runs if run.statements is not None]
    cpu_total = statistics.median(run.cpu_total for run in runs)
    return Saturation(
        runs=list(runs),
        leads_per_second=statistics.median(run.leads_per_second for run in runs),
        cpu=_by_name(run.cpu for run in runs),
        cpu_total=cpu_total,
        times_the_floor=round(cpu_total / floor.cpu_total, 2),
        statements=statistics.median(statements) if statements else None,
        transactions=statistics.median(run.transactions for run in runs),
        wal_bytes=statistics.median(run.wal_bytes for run in runs),
        events=statistics.median(run.events for run in runs),
        memory_mb=_by_name(run.memory_mb for run in runs),
    )


def fold_paced(rate: float, runs: Sequence[Phase]) -> Paced:
    return Paced(
        rate=rate,
        runs=list(runs),
        accepted=median_of([run.accepted for run in runs]),
        decided=median_of([run.decided for run in runs]),
        assigned=median_of([run.assigned for run in runs]),
        callback=median_of([run.callback for run in runs]),
        cpu_total=statistics.median(run.cpu_total for run in runs),
    )


def is_sustained(phase: Phase) -> bool:
    """Whether nothing piled up and nobody was turned away."""
    return phase.growth < GROWTH_ALLOWED and phase.generator.unexpected == 0


def fold_sustained(tried: Sequence[Phase]) -> Sustained:
    held = [phase.leads / phase.generator.seconds for phase in tried if is_sustained(phase)]
    return Sustained(rate=round(max(held, default=0.0)), tried=list(tried))


def _by_name(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            values.setdefault(name, []).append(value)
    return {name: statistics.median(of_runs) for name, of_runs in values.items()}
