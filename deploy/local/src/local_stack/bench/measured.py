"""Turns what one load took into figures per lead. Pure."""

from collections import Counter as Count
from collections.abc import Mapping

import msgspec

from local_stack.bench.database import Counts, Statement
from local_stack.bench.decisions import Decided
from local_stack.bench.generator import Row, Summary
from local_stack.bench.percentiles import median_growth, summarise
from local_stack.bench.report import Phase
from local_stack.bench.verification import Callback

CRM = "CRM"
OWNED = {"assigned", "retained"}


# A burst over 64 connections keeps the door's commits at 30 submissions and every later batch at 40 events, below the
# knee of the cost per row: 2,800 µs of CPU per lead instead of 2,250 over 256.
CONNECTIONS = 256


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: ``rate`` requests a second, 0 for as fast as ``connections`` allow."""

    name: str
    count: int
    rate: float = 0.0
    connections: int = CONNECTIONS
    seed: int = 1


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. ``cpu`` in seconds and ``memory`` in bytes by part; ``leads``: accepted records and their rows."""

    summary: Summary
    leads: Mapping[str, Row]
    decided: Decided
    callbacks: list[Callback]
    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    counts: Counts
    others: float
    events: int
    costliest: list[Statement]


def describe_phase(load: Load, measured: Measured) -> Phase:
    """Return the figures of one load. Errors: ValueError when not one lead was accepted."""
    leads = measured.leads
    if not leads:
        raise ValueError(f"{load.name}: not one lead was accepted")
    decisions = measured.decided.decisions
    own = {record_id: decisions[record_id] for record_id in leads if record_id in decisions}
    assigned_row = {own[record_id].lead_id: leads[record_id] for record_id in own if own[record_id].kind == "assigned"}
    told = {one.lead_id: one.at for one in measured.callbacks if one.type == "lead.assigned"}
    ends = [*(one.at for one in own.values()), *(one.at for one in measured.callbacks)]
    seconds = max(ends, default=measured.summary.started_at) - measured.summary.started_at
    cpu = {name: round(1e6 * used / len(leads), 1) for name, used in measured.cpu.items()}
    cpu_load = cpu.pop(CRM, 0.0)
    counts = measured.counts
    return Phase(
        name=load.name,
        rate=load.rate,
        requests=load.count,
        leads=len(leads),
        kinds=dict(Count(one.kind for one in own.values())),
        seconds=round(seconds, 2),
        leads_per_second=round(len(leads) / seconds, 1) if seconds > 0 else 0.0,
        cpu=cpu,
        cpu_total=round(sum(cpu.values()), 1),
        cpu_load=round(cpu_load + 1e6 * measured.summary.cpu_seconds / len(leads), 1),
        others=round(measured.others, 3),
        memory_mb={name: round(used / 2**20, 1) for name, used in measured.memory.items() if name != CRM},
        statements=None if counts.statements is None else round(counts.statements / len(leads), 3),
        transactions=round(counts.transactions / len(leads), 3),
        wal_bytes=round(counts.wal_bytes / len(leads)),
        events=round(measured.events / len(leads), 2),
        growth=round(median_growth([(leads[key].due, one.at - leads[key].due) for key, one in own.items()]), 3),
        accepted=summarise(row.done - row.due for row in {row.index: row for row in leads.values()}.values()),
        decided=summarise(one.at - leads[record_id].due for record_id, one in own.items()),
        assigned=summarise(one.at - leads[key].due for key, one in own.items() if one.kind in OWNED),
        callback=summarise(at - assigned_row[lead].due for lead, at in told.items() if lead in assigned_row),
        generator=measured.summary,
        costliest=measured.costliest,
    )
