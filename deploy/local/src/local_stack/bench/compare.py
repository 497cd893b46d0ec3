"""What changed between two reports."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.table import Table

from local_stack.bench.percentiles import Latency
from local_stack.bench.report import Report
from local_stack.bench.tables import STAGES


class Change(NamedTuple):
    """One figure in both. ``is_better``: None when it is neither better nor worse within `NOISE`."""

    figure: str
    before: float
    after: float
    is_better: bool | None

    @property
    def ratio(self) -> float:
        """Return after ÷ before."""
        return self.after / self.before if self.before else float("inf") if self.after else 1.0


# Three runs of the same commit on the same machine differ by this much.
NOISE = 0.05


def compare(before: Report, after: Report) -> list[Change]:
    """Return every figure that both reports have."""
    left, right = dict(_figures(before)), dict(_figures(after))
    return [_change(figure, left[figure], right[figure]) for figure in left if figure in right]


def _change(figure: str, before: float, after: float) -> Change:
    change = Change(figure, before, after, None)
    if abs(change.ratio - 1) <= NOISE:
        return change
    return change._replace(is_better=(after > before) == figure.startswith("leads/s"))


def _figures(report: Report) -> Iterator[tuple[str, float]]:
    top = report.saturation
    yield "leads/s burst", top.leads_per_second
    if report.sustained is not None:
        yield "leads/s sustained", report.sustained.rate
    yield "CPU µs per lead", top.cpu_total
    yield "× over the floor", top.times_the_floor
    for part, micros in top.cpu.items():
        yield f"CPU µs per lead, {part}", micros
    if top.statements is not None:
        yield "SQL statements per lead", top.statements
    yield "transactions per lead", top.transactions
    yield "WAL bytes per lead", top.wal_bytes
    yield "events per lead", top.events
    for part, megabytes in top.memory_mb.items():
        yield f"memory MB, {part}", megabytes
    for paced in report.paced:
        for title, name in STAGES:
            yield from _percentiles(f"{title} at {paced.rate:.0f}/s", getattr(paced, name))
    yield "floor: CPU µs per lead", report.floor.cpu_total
    yield from _percentiles("floor: five hops", report.floor.five_hops)


def _percentiles(figure: str, latency: Latency | None) -> Iterator[tuple[str, float]]:
    if latency is not None:
        yield f"{figure}, p50 ms", latency.p50
        yield f"{figure}, p99 ms", latency.p99


def render_changes(changes: list[Change], before: str, after: str) -> Table:
    """Return the table of *changes*, the columns named by the two commits."""
    table = Table(box=None)
    table.add_column("figure")
    for title in (before, after, "×"):
        table.add_column(title, justify="right")
    table.add_column("")
    for change in changes:
        word = {None: "", True: "[green]better[/]", False: "[red]worse[/]"}[change.is_better]
        table.add_row(change.figure, _number(change.before), _number(change.after), f"{change.ratio:.2f}", word)
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
