import io

import msgspec
import pytest
from rich.console import Console
from tests.unit.local_stack.bench.bench_builders import make_phase, make_report

from local_stack.bench.command import bench_compare
from local_stack.bench.compare import compare
from local_stack.bench.medians import fold_sustained
from local_stack.bench.report import decode_report, encode_report
from local_stack.bench.tables import print_report
from local_stack.failure import StackError


def printed(report) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(report, console)
    return console.export_text()


def test_report_survives_being_written_and_read() -> None:
    report = make_report()
    assert decode_report(encode_report(report)) == report


def test_table_tells_speed_cost_and_the_floor_beside_it() -> None:
    text = printed(make_report(cpu_total=797.5))
    assert "1,500" in text
    assert "10,000" in text
    assert "5.50" in text
    assert "webhook → assigned" in text


def test_rate_that_did_not_hold_is_not_called_sustained() -> None:
    text = printed(make_report(sustained=fold_sustained([make_phase(growth=1.0)])))
    assert "none held" in text


def test_reader_is_told_when_the_machine_was_shared() -> None:
    quiet, shared = make_report(), make_report()
    busy = msgspec.structs.replace(shared.saturation, runs=[make_phase(others=0.4)])
    assert "shared machine" not in printed(quiet)
    assert "40%" in printed(msgspec.structs.replace(shared, saturation=busy))


def verdicts(before, after) -> dict[str, bool | None]:
    return {change.figure: change.is_better for change in compare(before, after)}


def test_more_leads_a_second_are_better_and_more_cpu_is_worse() -> None:
    found = verdicts(make_report(), make_report(cpu_total=1_600, leads_per_second=3_000))
    assert found["leads/s burst"] is True
    assert found["CPU µs per lead"] is False


def test_difference_within_the_noise_is_no_verdict() -> None:
    assert verdicts(make_report(), make_report(cpu_total=820))["CPU µs per lead"] is None


def test_same_report_has_no_changes() -> None:
    assert set(verdicts(make_report(), make_report()).values()) == {None}


def test_figure_that_only_one_report_has_is_left_out() -> None:
    found = verdicts(make_report(), make_report(paced=[], sustained=None))
    assert "leads/s sustained" not in found
    assert not any("at 100/s" in figure for figure in found)


def test_compare_prints_the_two_commits(tmp_path, capsys) -> None:
    files = []
    for name in ("a" * 12, "b" * 12):
        file = tmp_path / f"{name}.json"
        file.write_bytes(encode_report(make_report(commit=name)))
        files.append(file)
    bench_compare(*files)
    text = capsys.readouterr().out
    assert "a" * 12 in text
    assert "b" * 12 in text


@pytest.mark.parametrize("content", [None, b"{}", b"not json"])
def test_file_that_is_no_report_is_named_in_a_sentence(tmp_path, content) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StackError, match="report"):
        bench_compare(file, file)
