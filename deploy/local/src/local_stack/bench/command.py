"""The commands `bench` and `bench-compare` of `leadrail-local`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from local_stack.bench.compare import compare, render_changes
from local_stack.bench.measured import CONNECTIONS
from local_stack.bench.report import Report, decode_report, encode_report
from local_stack.bench.tables import print_report
from local_stack.checkout import ROOT, STATE
from local_stack.failure import StackError

RESULTS = ROOT / "bench-results"
console = Console(highlight=False)


def bench(  # noqa: PLR0913 - each is an option of the command line
    data: Annotated[Path, typer.Option(help="Folder of the measured stack; emptied before and after.")] = STATE
    / "bench",
    out: Annotated[Path, typer.Option(help="Folder for the JSON report.")] = RESULTS,
    *,
    leads: Annotated[int, typer.Option(min=100, help="Requests per burst.")] = 20_000,
    warm_up: Annotated[
        int, typer.Option(min=0, help="Requests before anything is measured (the JVM compiles).")
    ] = 20_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each measurement; medians are printed.")] = 3,
    rates: Annotated[
        str, typer.Option(help="Requests a second to take percentiles at, such as 20,100,500,1000.")
    ] = "100",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each run at a rate.")] = 10.0,
    connections: Annotated[int, typer.Option(min=1, help="Connections of the generator.")] = CONNECTIONS,
    floor_leads: Annotated[int, typer.Option(min=100, help="Leads per burst through the floor.")] = 30_000,
    sustained: Annotated[bool, typer.Option(help="Look for the rate at which nothing piles up.")] = True,
    keep_data: Annotated[bool, typer.Option(help="Measure on the data of the last run, and keep it.")] = False,
) -> None:
    """Measure leads per second, milliseconds and CPU per lead, beside the floor of this machine."""
    # Imported late: `status` and `down` need not wait for what only a benchmark uses.
    from local_stack.bench.run import Options, run_bench  # noqa: PLC0415

    options = Options(
        data=data.resolve(),
        leads=leads,
        warm_up=warm_up,
        runs=runs,
        rates=tuple(float(rate) for rate in rates.split(",") if rate.strip()),
        seconds=seconds,
        connections=connections,
        floor_leads=floor_leads,
        sustained=sustained,
        keep_data=keep_data,
    )
    report = run_bench(options, lambda line: console.print(line, style="dim"))
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{report.at:%Y%m%dT%H%M%SZ}-{report.commit.rstrip('+')}.json"
    file.write_bytes(encode_report(report))
    print_report(report, console)
    console.print(f"\nKept in {file}", soft_wrap=True)


def bench_compare(
    before: Annotated[Path, typer.Argument(help="Report of `bench`.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
) -> None:
    """Show what changed between two reports."""
    reports = [_read(file) for file in (before, after)]
    console.print(render_changes(compare(*reports), *(report.commit for report in reports)))


def _read(file: Path) -> Report:
    try:
        return decode_report(file.read_bytes())
    except FileNotFoundError:
        raise StackError(f"There is no report {file}; `make bench` writes them into {RESULTS.name}/.") from None
    except msgspec.DecodeError as error:
        raise StackError(f"{file} is not a report of this version of `make bench`: {error}") from None
