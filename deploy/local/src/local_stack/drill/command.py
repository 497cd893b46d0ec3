"""The command `restore-drill` of `leadrail-local`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from local_stack.checkout import STATE

console = Console(highlight=False, soft_wrap=True)


def restore_drill(
    data: Annotated[
        Path, typer.Option(help="Folder of the drill's own servers; emptied before, and after success.")
    ] = STATE / "restore-drill",
    *,
    leads: Annotated[int, typer.Option(min=4, help="Leads of each part of the traffic.")] = 100,
    rate: Annotated[float, typer.Option(min=1, help="Leads per second.")] = 40.0,
    keep_data: Annotated[bool, typer.Option(help="Keep data and logs also when all is right.")] = False,
    recover: Annotated[
        bool, typer.Option(help="Without it the services decide anew: shows what the drill finds then.")
    ] = True,
) -> None:
    """Lose the database under traffic, restore it to an earlier instant, and judge; exit code 0 if all is right.

    The steps are those of docs/runbooks/restore.md: base backup and archive, services recovered, consumers rewound.
    """
    # Imported late: `status` and `down` need not wait for what only the drill uses.
    from local_stack.drill.run import Options, run_drill  # noqa: PLC0415

    options = Options(
        data=data.resolve(),
        leads=leads,
        rate=rate,
        fsync=os.environ.get("LEADRAIL_PG_FSYNC") != "off",
        is_kept=keep_data,
        recovers=recover,
    )
    faults = run_drill(options, console.print)
    for fault in faults:
        console.print(f"WRONG: {fault}")
    if faults:
        console.print(f"Data and logs are kept in {options.data}.")
        raise typer.Exit(1)
    console.print("All of it is right: the ledger balances, no lead has a second owner, every no still holds.")
