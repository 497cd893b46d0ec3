import msgspec
import pytest
from tests.unit.local_stack.bench.bench_builders import (
    make_decided,
    make_measured,
    make_phase,
    make_report,
    make_row,
    make_summary,
)

from local_stack.bench.database import Counts
from local_stack.bench.measured import Load, describe_phase
from local_stack.bench.medians import fold_saturation, fold_sustained, is_sustained
from local_stack.bench.percentiles import Latency

LOAD = Load(name="burst1", count=1)


def test_cpu_of_the_load_is_kept_apart_from_that_of_the_pipeline() -> None:
    phase = describe_phase(LOAD, make_measured())
    assert phase.cpu == {"ingest": 500.0, "PostgreSQL": 300.0}
    assert phase.cpu_total == 800.0
    assert phase.cpu_load == 300.0


def test_run_ends_with_the_last_callback() -> None:
    assert describe_phase(LOAD, make_measured()).seconds == pytest.approx(0.06)


def test_milliseconds_count_from_the_moment_the_request_was_due() -> None:
    phase = describe_phase(LOAD, make_measured(leads={"r1": make_row(due=99.0, done=100.0)}))
    assert phase.accepted == Latency(count=1, p50=1_000, p90=1_000, p99=1_000, max=1_000)
    assert phase.assigned is not None
    assert phase.assigned.p50 == 1_050


def test_lead_that_nobody_got_counts_as_decided_and_not_as_assigned() -> None:
    phase = describe_phase(LOAD, make_measured(decided=make_decided(kind="withheld"), callbacks=[]))
    assert phase.decided is not None
    assert phase.assigned is None
    assert phase.kinds == {"withheld": 1}


def test_counts_are_per_lead_and_unknown_where_the_server_does_not_count() -> None:
    leads = {"r1": make_row(), "r2": make_row(1)}
    phase = describe_phase(LOAD, make_measured(leads=leads, counts=Counts(4, 1_000, None)))
    assert (phase.transactions, phase.wal_bytes, phase.statements) == (2, 500, None)


def test_run_without_leads_has_no_numbers() -> None:
    with pytest.raises(ValueError, match="not one lead"):
        describe_phase(LOAD, make_measured(leads={}))


def test_median_run_speaks_for_all() -> None:
    runs = [make_phase(cpu_total=cpu, leads_per_second=rate) for cpu, rate in ((900, 1), (700, 9), (800, 5))]
    floor = msgspec.structs.replace(make_report().floor, cpu_total=160.0)
    folded = fold_saturation(runs, floor)
    assert (folded.cpu_total, folded.leads_per_second, folded.times_the_floor) == (800, 5, 5.0)


def test_rate_at_which_the_wait_grows_is_not_sustained() -> None:
    assert is_sustained(make_phase(growth=0.0))
    assert not is_sustained(make_phase(growth=0.3))


def test_rate_at_which_somebody_is_turned_away_is_not_sustained() -> None:
    assert not is_sustained(make_phase(generator=make_summary(unexpected=1)))


def test_sustained_rate_is_leads_over_the_time_they_were_sent_in() -> None:
    held = make_phase(leads=1_700, generator=make_summary(seconds=1.0))
    assert fold_sustained([make_phase(growth=2.0), held]).rate == 1_700
    assert fold_sustained([make_phase(growth=2.0)]).rate == 0
