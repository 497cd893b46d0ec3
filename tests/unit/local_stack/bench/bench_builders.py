"""Reports, phases and rows with every field defaulted."""

from datetime import UTC, datetime

import msgspec

from local_stack.bench.database import Counts
from local_stack.bench.decisions import Decided, Decision
from local_stack.bench.drain import Ledger
from local_stack.bench.floor import FloorRun
from local_stack.bench.generator import Row, Summary
from local_stack.bench.machine import Machine
from local_stack.bench.measured import Load, Measured, describe_phase
from local_stack.bench.medians import fold_floor, fold_paced, fold_saturation, fold_sustained
from local_stack.bench.percentiles import summarise
from local_stack.bench.report import Phase, Report
from local_stack.bench.verification import Callback


def make_row(index=0, *, due=100.0, done=100.01, status=200, expected=200, answer=None, **changes) -> Row:
    return Row(
        index=index,
        nature=changes.get("nature", "new"),
        sender=changes.get("sender", "zoom"),
        due=due,
        sent=due,
        done=done,
        status=status,
        expected=expected,
        answer=msgspec.Raw(msgspec.json.encode(answer)),
    )


def make_answer(record_id="r1", *, nature="lead", duplicate=False) -> dict[str, object]:
    answer: dict[str, object] = {"submission_id": "s", "records": [{"record_id": record_id, "nature": nature}]}
    return {**answer, "duplicate": True} if duplicate else answer


def make_decided(record_id="r1", *, kind="assigned", at=100.05, lead_id="l1", assignment_id="a1") -> Decided:
    assigned = {assignment_id: lead_id} if kind == "assigned" else {}
    return Decided({record_id: lead_id}, {record_id: Decision(kind, at, lead_id)}, assigned)


def make_callback(assignment_id="a1", *, at=100.06, lead_id="l1") -> Callback:
    return Callback(f"c-{assignment_id}", at, "lead.assigned", lead_id, assignment_id)


def make_ledger(accepted=0, *, is_balanced=True, in_flight=0, parked=0) -> Ledger:
    return Ledger(accepted, in_flight, parked, 0, is_balanced, {"in_flight": in_flight, "parked": parked})


def make_summary(**changes) -> Summary:
    values = {
        "started_at": 100.0, "sent": 1, "seconds": 1.0, "cpu_seconds": 0.0001, "answers": {"200": 1}, "unexpected": 0,
        "lateness": None,
    }  # fmt: skip
    return Summary(**{**values, **changes})


def make_measured(**changes) -> Measured:
    values = {
        "summary": make_summary(),
        "leads": {"r1": make_row()},
        "decided": make_decided(),
        "callbacks": [make_callback()],
        "cpu": {"ingest": 0.0005, "PostgreSQL": 0.0003, "CRM": 0.0002},
        "memory": {"ingest": 100 * 2**20},
        "counts": Counts(2, 4_096, 3),
        "others": 0.0,
        "events": 5,
        "costliest": [],
    }
    return Measured(**{**values, **changes})


def make_phase(**changes) -> Phase:
    return msgspec.structs.replace(describe_phase(Load(name="burst1", count=1), make_measured()), **changes)


def make_report(*, cpu_total=800.0, leads_per_second=1_500.0, assigned=0.010, **changes) -> Report:
    floor_run = FloorRun(
        leads=10, seconds=1, leads_per_second=10_000, cpu={"Python": 65.0, "PostgreSQL": 80.0}, cpu_total=145
    )
    floor = fold_floor([floor_run] * 3, 100, summarise([0.01]))
    phase = make_phase(
        cpu_total=cpu_total, leads_per_second=leads_per_second, assigned=summarise([assigned]), rate=100.0
    )
    values = {
        "at": datetime(2026, 11, 24, tzinfo=UTC),
        "commit": "0123456789ab",
        "machine": Machine(
            processor="a processor", cores=2, memory_gb=8, system="Linux", python="3.11", kafka="4.4.0", packages={},
            fsync_ms=0.2,
        ),
        "postgres": "18.6",
        "floor": floor,
        "saturation": fold_saturation([phase] * 3, floor),
        "sustained": fold_sustained([phase]),
        "paced": [fold_paced(100, [phase] * 3)],
    }  # fmt: skip
    return Report(**{**values, **changes})
