"""`python -m tests.chaos`: break everything in turn and at once, and see whether the promises were kept."""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from local_stack.stack import Servers

from .plan import KINDS, Step, make_plan
from .run import Report, run_plan
from .shrink import shrink
from .site import own_servers, running_site

Numbered = tuple[int, Step]

app = typer.Typer(add_completion=False)


class Rounds:
    """Plans on fresh installations, one after the other, on the same two servers."""

    def __init__(self, folder: Path, servers: Servers, per_second: float, at_once: int) -> None:
        self._folder = folder
        self._servers = servers
        self._per_second = per_second
        self._at_once = at_once
        self._sites = 0

    def run(self, steps: list[Numbered]) -> Report:
        """Run *steps* on an installation of their own. From the main thread: services end with their thread."""
        self._sites += 1
        with running_site(self._folder / f"site-{self._sites}", self._servers) as site:
            plan = [step for _, step in steps]
            return asyncio.run(run_plan(site, plan, per_second=self._per_second, at_once=self._at_once, say=typer.echo))

    def shrink(self, steps: list[Numbered], most_tries: int) -> list[Numbered]:
        """Return the shortest part of *steps* found that still breaks a promise."""

        def fails(part: list[Numbered]) -> bool:
            typer.echo(f"shrinking: trying {len(part)} of {len(steps)} faults")
            return bool(self.run(part).found)

        return shrink(steps, fails, most_tries)


@app.command()
def main(
    *,
    seed: Annotated[str, typer.Option(help="What happens when, and to whom: the same seed, the same plan.")] = "1",
    kills: Annotated[int, typer.Option("--kills", "--faults", min=1, help="How many faults.")] = 40,
    only: Annotated[list[str] | None, typer.Option(help=f"Only this kind; may be repeated. {', '.join(KINDS)}")] = None,
    steps: Annotated[str, typer.Option(help="Of one round's plan only these, by number: 3,7,12.")] = "",
    with_shrinking: Annotated[bool, typer.Option("--shrink/--no-shrink", help="After a failure.")] = True,
    shrink_tries: Annotated[int, typer.Option(help="At most so many runs to find a shorter list.")] = 16,
    leads_per_second: Annotated[float, typer.Option(min=1)] = 30.0,
    at_once: Annotated[int, typer.Option(min=1, help="At most so many faults at the same time.")] = 5,
    round_size: Annotated[int, typer.Option(min=1, help="Faults on one installation before it is judged.")] = 40,
    minutes: Annotated[float, typer.Option(help="Begin no further round after this long; 0: no limit.")] = 0.0,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on after a round that failed.")] = False,
    is_long: Annotated[bool, typer.Option("--long", help="Also keep the broker away for minutes.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write what was injected how often, as JSON.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the services' logs in this folder.")] = None,
) -> None:
    """Inject faults under load and judge from databases, topics and the CRM's file. Exit code 1: a promise broke."""
    if unknown := set(only or ()) - set(KINDS):
        raise typer.BadParameter(f"there is no kind {', '.join(sorted(unknown))}", param_hint="--only")
    if keep and keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(
            f"{keep} is not empty: another run's data would be taken for this one's", param_hint="--keep"
        )
    total, began = Report(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leadrail-chaos-") as name, own_servers(Path(name) / "servers") as servers:
        rounds = Rounds(keep or Path(name), servers, leads_per_second, at_once)
        while total.faults < kills and (keep_going or not total.found):
            if minutes and time.monotonic() - began > 60 * minutes:
                typer.echo(f"{minutes:g} minutes are over.")
                break
            round_seed = f"{seed}/{total.faults}" if total.faults else seed
            plan = make_plan(round_seed, min(round_size, kills - total.faults), only or (), is_long=is_long)
            numbered = [one for one in enumerate(plan, 1) if not steps or str(one[0]) in steps.split(",")]
            done = rounds.run(numbered)
            total.add(done)
            typer.echo(f"seed {round_seed}: {done.faults} faults, {done.promises} promises, {done.seconds:.0f} s")
            if report:
                report.write_text(_as_text(seed, total), "utf-8")
            if done.found:
                typer.echo("\n".join(f"BROKEN: {found}" for found in done.found))
                shortest = rounds.shrink(numbered, shrink_tries) if with_shrinking else numbered
                typer.echo(tell_again(round_seed, len(plan), shortest))
            if steps:
                break
    typer.echo(_as_text(seed, total))
    raise typer.Exit(1 if total.found else 0)


def tell_again(seed: str, faults: int, shortest: list[Numbered]) -> str:
    """Return how to run the shortest failing list again."""
    numbers = ",".join(str(number) for number, _ in shortest)
    again = f"--seed {seed} --kills {faults} --steps {numbers}"
    return "\n".join([f"The shortest list found that fails ({again}):", *(f"  {step}" for _, step in shortest)])


def _as_text(seed: str, total: Report) -> str:
    return json.dumps({"seed": seed, **total.as_json()}, indent=2) + "\n"


if __name__ == "__main__":
    app()
