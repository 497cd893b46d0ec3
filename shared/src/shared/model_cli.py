"""``leadrail model``: versions of the scoring model, what one would change, and putting it into force."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from shared.model_client import ENDED, ModelClient, Plan
from shared.plan_tables import describe_backtest, print_plan, printable
from shared.service_calls import NOT_DONE, USAGE, ServiceName, calling, is_away, is_unable, url_variable
from shared.service_client import KEY_VARIABLE, NoAnswer, Refusal

SERVICE: ServiceName = "scoring"
URL_VARIABLE = url_variable(SERVICE)
LOOK_EVERY_SECONDS = 0.5
PATIENCE_SECONDS = 60.0  # a service that is restarted answers again well within that
LONGEST_WHY = 500  # the service takes no longer reason

model = typer.Typer(
    no_args_is_help=True,
    help=f"The scoring model: list its versions, store a draft, plan one (what it would have decided), apply one."
    f" Needs an API key with the scope config:plan (apply: config:apply too) in {KEY_VARIABLE}. The service's address:"
    f" --url, {URL_VARIABLE}, or the documented port on this machine. Exit code 1: it was not done (no such version,"
    f" no lead in the period, cancelled); 2: the call is wrong; 3: the service does not answer, or refuses the key.",
)

Version = Annotated[str, typer.Argument(help="Number of a stored version, as `versions` shows it.")]
Url = Annotated[str | None, typer.Option("--url", help=f"Base URL of the scoring service; else {URL_VARIABLE}.")]
Why = Annotated[str, typer.Option("--why", help="The reason; kept in the audit with the name of your key.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for other programs.")]

out = Console(markup=False, highlight=False)
err = Console(markup=False, highlight=False, stderr=True)


@model.command("versions")
def list_versions(url: Url = None, *, as_json: AsJson = False) -> None:
    """Show the stored versions, newest first, and which one decides."""
    with _calling(url) as client:
        versions = list(client.list_versions())
    if as_json:
        for each in versions:
            typer.echo(json.dumps({"version": each.version, "is_live": each.is_live, "why": each.why}))
        return
    table = Table("version", "live", "stored (UTC)", "by", "why")
    for each in versions:
        live = "live" if each.is_live else ""
        stored = f"{each.created_at:%Y-%m-%d %H:%M}"
        table.add_row(str(each.version), live, stored, printable(each.created_by), printable(each.why))
    out.print(table)


@model.command("draft")
def store_draft(
    file: Annotated[Path, typer.Argument(help="The model, as YAML.", exists=True, dir_okay=False)],
    why: Why,
    url: Url = None,
) -> None:
    """Check a model and store it as the next version. It decides nothing until it is applied."""
    try:
        body = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file} is not UTF-8 text.") from None
    with _calling(url) as client:
        version = client.create_draft(body, why).version
    out.print(f"stored as version {version}: see what it would change with `leadrail model plan {version}`")


@model.command("plan")
def plan_version(
    version: Version,
    days: Annotated[int, typer.Option(min=1, max=365, help="Length of the period that ends now, in days.")] = 30,
    until: Annotated[
        str | None, typer.Option(help="End of the period instead of now: RFC 3339, as 2026-11-24T00:00:00Z.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="At most so many leads, the same ones each time.")] = None,
    url: Url = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Decide again about the leads of a period with a version, and show what would have been different.

    Every lead is looked at with what was known of it at each instant, under this version and under the live one.
    Nothing is changed or sent. Ctrl-C cancels it.
    """
    with _calling(url) as client:
        started = client.start_plan(version, days=days, until=until, sample=sample)
        plan, answer = _wait(client, started)
    if plan.result is None:
        raise _not_done(plan.error or f"the plan was {plan.state}")
    if as_json:
        typer.echo(json.dumps(answer["result"]))
        return
    print_plan(out, plan.result)
    out.print(f"plan {plan.job_id}")


@model.command("apply")
def apply_version(
    version: Version,
    why: Why,
    url: Url = None,
    *,
    is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask, however old or missing the plan is.")] = False,
) -> None:
    """Put a version into force, after a look at its latest plan and backtest beside the live version.

    Their ids go into the audit with the reason.
    """
    with _calling(url) as client:
        live = next((str(each.version) for each in client.list_versions() if each.is_live), "")
        if version == live:
            out.print(f"version {version} is live already: nothing to do")
            return
        plan = client.find_latest_plan(version)
        if plan is not None and plan.result is not None:
            print_plan(out, plan.result)
        out.print(_advice(version, live, plan))
        backtest = client.find_latest_backtest(version)
        out.print(describe_backtest(version, live, backtest))
        seen = [f"{what} {job.job_id}" for what, job in (("plan", plan), ("backtest", backtest)) if job is not None]
        reason = _reason(why, seen)
        if not is_sure and not typer.confirm(f"Apply version {version}?"):
            raise _not_done("nothing was applied")
        client.apply(version, reason)
    out.print(f"version {version} is in force; `leadrail model apply {live}` goes back")


def _advice(version: str, live: str, plan: Plan | None) -> str:
    if plan is None or plan.result is None:
        return f"Version {version} was never planned: `leadrail model plan {version}` shows what it would change."
    age = f"Planned {plan.asked_at:%Y-%m-%d %H:%M} UTC"
    if plan.result.live_version != live:
        return f"{age} beside version {plan.result.live_version}, but {live} is live by now: plan again."
    return f"{age} beside version {live}, which is live still."


def _reason(why: str, seen: list[str]) -> str:
    """Return what the audit is to keep. Errors: `typer.Exit`: more than the service takes."""
    reason = f"{why} ({', '.join(seen)})" if seen else why
    if (excess := len(reason) - LONGEST_WHY) > 0:
        what = f"--why with {' and '.join(seen)}" if seen else "--why"
        err.print(f"{what} has {len(reason)} characters, and the limit is {LONGEST_WHY}: shorten --why by {excess}")
        raise typer.Exit(USAGE)
    return reason


def _wait(client: ModelClient, plan: Plan) -> tuple[Plan, dict[str, Any]]:
    """Show how far the plan is until it has ended; cancel it if the person does not want to wait.

    A service that does not answer for a while is waited for: the plan outlives its restart.
    """
    with _not_losing(plan):
        try:
            with _progress() as show:
                return _watch(client, plan.job_id, show)
        except KeyboardInterrupt:
            client.cancel_plan(plan.job_id)
            raise _not_done("cancelled") from None


def _watch(client: ModelClient, plan_id: str, show: Callable[[Plan], None]) -> tuple[Plan, dict[str, Any]]:
    away_since: float | None = None
    while True:
        try:
            plan, answer = client.get_plan(plan_id)
        except (NoAnswer, Refusal) as error:
            away_since = away_since or time.monotonic()  # not since the last answer: one call alone may take longer
            if not is_away(error) or time.monotonic() - away_since >= PATIENCE_SECONDS:
                raise
        else:
            away_since = None
            show(plan)
            if plan.state in ENDED:
                return plan, answer
        time.sleep(LOOK_EVERY_SECONDS)


@contextmanager
def _not_losing(plan: Plan) -> Iterator[None]:
    """Name the plan to the person if we cannot follow it any more: it goes on without us."""
    try:
        yield
    except (NoAnswer, Refusal) as error:
        if is_unable(error):
            err.print(f"plan {plan.job_id} goes on without this command: GET /v1/plans/{plan.job_id} shows how far")
        raise


@contextmanager
def _progress() -> Iterator[Callable[[Plan], None]]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("queued", total=None)
        yield lambda plan: progress.update(task, description=plan.state, completed=plan.done, total=plan.total or None)


def _calling(url: str | None) -> AbstractContextManager[ModelClient]:
    return calling(ModelClient, SERVICE, url, scope="config:plan", err=err)


def _not_done(sentence: str) -> typer.Exit:
    err.print(printable(sentence))
    return typer.Exit(NOT_DONE)
