"""The report, and two of them side by side, as tables for a terminal."""

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table

from local_stack.bench.percentiles import Latency
from local_stack.bench.report import Paced, Phase, Report

STAGES = (
    ("webhook → 2xx", "accepted"),
    ("webhook → decided", "decided"),
    ("webhook → assigned", "assigned"),
    ("webhook → callback", "callback"),
)
BUSY = 0.05
MOST_STATEMENTS = 6
MOST_CHARACTERS = 60


def render(report: Report) -> RenderableType:
    """Return the whole report."""
    tables = (_throughput(report), _cpu(report), _latencies(report), _statements(report))
    return Group(_head(report), *(part for table in tables for part in ("", table)), *_warnings(report))


def _head(report: Report) -> str:
    machine = report.machine
    return (
        f"{report.at:%Y-%m-%d %H:%M} UTC, commit {report.commit}, {machine.cores} × {machine.processor}, "
        f"{machine.memory_gb} GB, fsync {machine.fsync_ms} ms, Python {machine.python}, PostgreSQL {report.postgres}, "
        f"Kafka {machine.kafka}"
    )


def _throughput(report: Report) -> Table:
    table = _table("at saturation", "pipeline", "floor (five bare hops)")
    top, floor = report.saturation, report.floor
    table.add_row("leads/s, burst", _number(top.leads_per_second), _number(floor.leads_per_second))
    if report.sustained is not None:
        table.add_row("leads/s, sustained", _number(report.sustained.rate) if report.sustained.rate else "none held")
    table.add_row("CPU µs per lead", _number(top.cpu_total), _number(floor.cpu_total))
    table.add_row("× over the floor", f"{top.times_the_floor:.2f}", "1")
    table.add_row("SQL statements per lead", "not counted" if top.statements is None else f"{top.statements:.3f}")
    table.add_row("transactions per lead", f"{top.transactions:.3f}")
    table.add_row("WAL bytes per lead", _number(top.wal_bytes))
    table.add_row("events per lead", f"{top.events:.2f}")
    return table


def _cpu(report: Report) -> Table:
    table = _table("part", "CPU µs per lead", "floor", "memory MB")
    top, floor = report.saturation, report.floor
    for name, micros in sorted(top.cpu.items(), key=lambda item: -item[1]):
        table.add_row(name, _number(micros), _number(floor.cpu.get(name)), _number(top.memory_mb.get(name)))
    table.add_row("the floor's hops", "", _number(floor.cpu.get("Python")))
    load = sorted(run.cpu_load for run in top.runs)[len(top.runs) // 2]
    table.add_row("generator and CRM (not counted)", _number(load))
    return table


def _latencies(report: Report) -> Table:
    table = _table("requests/s", "stage", "p50 ms", "p90", "p99", "max", "count")
    for paced in report.paced:
        _add_stages(table, f"{paced.rate:.0f}", paced)
    if report.sustained is not None and report.sustained.rate:
        best = report.sustained.tried[-1]
        _add_stages(table, f"{best.rate:.0f} (sustained)", best)
    _add(table, f"{report.floor.paced_rate:.0f}", "floor: five hops", report.floor.five_hops)
    return table


def _statements(report: Report) -> Table:
    table = _table("costliest statements of the last burst", "ms in all", "calls", "µs per lead")
    last = report.saturation.runs[-1]
    for one in last.costliest[:MOST_STATEMENTS]:
        text = f"{one.role.removeprefix('leadrail_')}: {one.query[:MOST_CHARACTERS]}"
        table.add_row(text, _number(one.milliseconds), str(one.calls), f"{1000 * one.milliseconds / last.leads:.0f}")
    return table


def _add_stages(table: Table, rate: str, of: Paced | Phase) -> None:
    for title, name in STAGES:
        _add(table, rate, title, getattr(of, name))


def _add(table: Table, rate: str, stage: str, latency: Latency | None) -> None:
    if latency is not None:
        values = (latency.p50, latency.p90, latency.p99, latency.max)
        table.add_row(rate, stage, *(f"{value:.1f}" for value in values), str(latency.count))


def _warnings(report: Report) -> Iterable[str]:
    runs = [*report.saturation.runs, *(run for paced in report.paced for run in paced.runs)]
    if (others := max(run.others for run in runs)) > BUSY:
        yield (
            f"\nOther programs used up to {others:.0%} of this machine meanwhile: CPU per lead stands, leads per second"
            " and milliseconds are those of a shared machine."
        )


def print_report(report: Report, console: Console) -> None:
    """Print *report*."""
    console.print(render(report))


def _table(*titles: str) -> Table:
    table = Table(box=None)
    for number, title in enumerate(titles):
        table.add_column(title, justify="left" if not number or title == "stage" else "right")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
