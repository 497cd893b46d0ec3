"""`leadrail-local`: the stack of this checkout, without Docker."""

import sys
import time
from collections import deque
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from local_stack import artifacts
from local_stack.bench.command import bench, bench_compare
from local_stack.checkout import STATE
from local_stack.drill.command import restore_drill
from local_stack.failure import StackError
from local_stack.forget import forget_data, forget_downloads
from local_stack.state import ProcessRecord, read_state, stop_running

app = typer.Typer(
    help="PostgreSQL, Apache Kafka and the five services on this machine, without Docker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)

DataDir = Annotated[Path, typer.Option(envvar="LEADRAIL_DATA", help="Folder of this stack's data, logs and state.")]


@app.command()
def up(
    data: DataDir = STATE,
    *,
    servers_only: Annotated[bool, typer.Option(help="Start PostgreSQL and Kafka, no services.")] = False,
) -> None:
    """Start everything and stay until Ctrl-C or `down`."""
    # Imported late: the services' migrations take a second that `status` and `down` need not wait for.
    from local_stack.supervisor import running_stack, watch  # noqa: PLC0415

    with running_stack(data, with_services=not servers_only, is_shared=True, say=console.print) as stack:
        for name, url in stack.urls.items():
            console.print(f"  {name:<12} {url}  docs {url}/docs  metrics {url}/metrics", soft_wrap=True)
        console.print(f"  {'PostgreSQL':<12} {stack.servers.database_url}", soft_wrap=True)
        console.print(f"  {'Kafka':<12} {stack.servers.kafka_bootstrap_servers}")
        console.print("Ctrl-C, or `make down` in another terminal, stops all of it; the data is kept.")
        try:
            watch(stack, say=console.print)
        except KeyboardInterrupt:
            console.print("Stopping: services drain first.")


@app.command()
def down(data: DataDir = STATE) -> None:
    """Stop the running stack; the data is kept."""
    state = read_state(data)
    if state is None:
        console.print("Nothing is running.")
        return
    stop_running(state)
    console.print("Stopped; the data is kept.")


@app.command()
def status(data: DataDir = STATE) -> None:
    """Show what runs; exit code 1 when nothing does or a part is not ready."""
    state = read_state(data)
    if state is None:
        console.print("Nothing is running: `make up` starts the stack.")
        raise typer.Exit(1)
    table = Table("part", "pid", "state", "url", "log", box=None)
    healthy = True
    for process in state.processes:
        word = _state_of(process)
        healthy = healthy and word in {"running", "ready"}
        table.add_row(process.name, str(process.pid), word, process.url, process.log)
    console.print(table)
    console.print(f"Kafka {state.kafka_bootstrap_servers}")
    console.print(f"PostgreSQL {state.database_url}", soft_wrap=True)
    if not healthy:
        raise typer.Exit(1)


def _state_of(process: ProcessRecord) -> str:
    if process.find() is None:
        return "ended"
    if not process.url:
        return "running"
    try:
        answer = httpx.get(f"{process.url}/readyz", timeout=5, trust_env=False)
    except httpx.TransportError:
        return "not answering"
    return "ready" if answer.is_success else "not ready"


@app.command()
def logs(
    part: Annotated[str, typer.Argument(help="ingest, scoring, consent, routing, sla-monitor, postgres or kafka.")],
    data: DataDir = STATE,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the log of one part."""
    file = data / "logs" / f"{part}.log"
    if not file.is_file():
        known = ", ".join(sorted(log.stem for log in (data / "logs").glob("*.log"))) or "none yet"
        raise StackError(f"There is no log of {part!r}; there are: {known}.")
    with file.open(encoding="utf-8", errors="replace") as log:
        sys.stdout.writelines(deque(log, lines))
        while follow:
            sys.stdout.write(log.read())
            sys.stdout.flush()
            time.sleep(0.3)


@app.command()
def clean(
    data: DataDir = STATE,
    *,
    downloads: Annotated[
        bool, typer.Option(help="Also what was downloaded; other checkouts of yours share it.")
    ] = False,
) -> None:
    """Forget data, logs and keys of this checkout's stack."""
    forget_data(data)
    console.print(f"Forgot the data in {data}.")
    if downloads:
        console.print(f"Forgot the downloads in {forget_downloads()}.")


@app.command()
def lock_kafka() -> None:
    """Resolve deploy/local/jgo.toml anew into jgo.lock.toml (for a new Kafka version)."""
    console.print(f"Locked {artifacts.write_lock()} jars in {artifacts.LOCK}.")


@app.command()
def fetch() -> None:
    """Download what a start needs, so that the next one needs no network."""
    console.print(f"Apache Kafka is in {artifacts.kafka_jars()}.")


@app.command()
def demo(data: DataDir = STATE) -> None:
    """Send real payloads and 200 leads through everything, show what became of each; exit code 0 if all is right."""
    from local_stack.demo.run import run_demo  # noqa: PLC0415 - as in `up`

    # A file or a pipe has no width of its own: wide enough for the table's longest lines.
    raise typer.Exit(run_demo(data, console if console.is_terminal else Console(highlight=False, width=150)))


app.command()(bench)
app.command()(bench_compare)
app.command()(restore_drill)


def main() -> None:
    """Run the command line; a failure is one sentence on stderr and exit code 1."""
    try:
        app()
    except StackError as error:
        print(f"leadrail-local: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
