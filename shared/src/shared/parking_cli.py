"""``leadrail parked``: leads whose event no handler could digest, seen and decided about by a person."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Annotated

import typer
from msgspec import to_builtins
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from shared.parking_client import Parked, ParkingClient, Refusal
from shared.service_calls import NOT_DONE, ServiceName, calling
from shared.service_client import KEY_VARIABLE

STILL_PARKED = {"still_failing", "not_parked"}

parked = typer.Typer(
    no_args_is_help=True,
    help=f"Leads that wait because a handler failed on an event: list, show, retry, skip. Needs an API key with the"
    f" scope ops:replay in {KEY_VARIABLE}. The service's address: --url, LEADRAIL_<SERVICE>_URL, or the documented"
    f" port on this machine. Exit code 1: it was not done (nothing is parked, still failing); 2: the call is wrong;"
    f" 3: the service does not answer, or refuses the key.",
)

Service = Annotated[ServiceName, typer.Argument(help="Whose parking lot.")]
Lead = Annotated[str, typer.Argument(help="Lead id, as `list` shows it.")]
Url = Annotated[
    str | None, typer.Option("--url", help="Base URL of the service; else LEADRAIL_<SERVICE>_URL, else its port here.")
]
ConsumerName = Annotated[
    str | None, typer.Option("--consumer", help="Consumer group. Needed only if the lead is parked with several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line, for other programs.")]

out = Console(markup=False, highlight=False)
err = Console(markup=False, highlight=False, stderr=True)


@parked.command("list")
def list_leads(service: Service, consumer: ConsumerName = None, url: Url = None, *, as_json: AsJson = False) -> None:
    """Show the leads that wait, the longest waiting first, with the error that stopped each."""
    with _calling(service, url) as client:
        leads = _by_lead(client.list_events(consumer=consumer))
    if as_json:
        _print_json([event for events in leads.values() for event in events])
        return
    table = _table("consumer", "lead", "events", "since (UTC)", "error")
    for (name, lead_id), events in leads.items():
        _add_row(table, name, lead_id, str(len(events)), _instant(events[0]), events[0].error)
    out.print(table if leads else f"nothing is parked at {service}")


@parked.command("show")
def show_lead(
    service: Service, lead_id: Lead, consumer: ConsumerName = None, url: Url = None, *, as_json: AsJson = False
) -> None:
    """Show the events of one lead in the order in which they will be handled."""
    with _calling(service, url) as client:
        events = list(client.list_events(consumer=consumer, lead_id=lead_id))
    if not events:
        raise _not_parked(service, lead_id)
    if as_json:
        _print_json(events)
        return
    table = _table("consumer", "event", "type", "topic/partition@offset", "parked (UTC)", "error")
    for event in events:
        place = f"{event.topic}/{event.partition}@{event.offset}"
        _add_row(table, event.consumer, event.event_id, event.type, place, _instant(event), event.error)
    out.print(table)


@parked.command("retry")
def retry(
    service: Service,
    lead_id: Annotated[str | None, typer.Argument(help="Lead id, as `list` shows it.")] = None,
    consumer: ConsumerName = None,
    all_of_consumer: Annotated[
        str | None, typer.Option("--all-of-consumer", help="Instead of one lead: each that waits at this consumer.")
    ] = None,
    url: Url = None,
) -> None:
    """Handle a lead's events again, in order, all or none. What fails again stays parked."""
    if (lead_id is None) == (all_of_consumer is None) or (consumer and all_of_consumer):
        raise typer.BadParameter("Name a lead, or --all-of-consumer NAME, and not both.")
    with _calling(service, url) as client:
        if lead_id is not None:
            done = client.retry(consumer or _consumer_of(client, service, lead_id), lead_id)
            out.print(f"retried {lead_id}: {done.released} events handled")
        elif all_of_consumer is not None:
            _retry_all(client, service, all_of_consumer)


@parked.command("skip")
def skip(
    service: Service,
    lead_id: Lead,
    why: Annotated[str, typer.Option("--why", help="The reason; kept in the audit with the name of your key.")],
    consumer: ConsumerName = None,
    url: Url = None,
) -> None:
    """Give up the lead's first event for good. The ones behind it stay: retry them next."""
    with _calling(service, url) as client:
        left = client.skip(consumer or _consumer_of(client, service, lead_id), lead_id, why).remaining
    out.print(f"skipped the first event of {lead_id}; {left} still wait{'s' if left == 1 else ''}")


def _retry_all(client: ParkingClient, service: str, consumer: str) -> None:
    """Go on past leads that still fail: one that cannot be handled must not keep the others."""
    leads = [lead_id for _, lead_id in _by_lead(client.list_events(consumer=consumer))]
    if not leads:
        raise _not_done(f"nothing is parked at {service} with the consumer {consumer}")
    released, failed = 0, dict[str, str]()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task(f"retrying {len(leads)} leads", total=len(leads))
        for lead_id in leads:
            try:
                released += client.retry(consumer, lead_id).released
            except Refusal as refusal:
                if refusal.code not in STILL_PARKED:
                    raise
                if refusal.code == "still_failing":  # the other: somebody else released it meanwhile
                    failed[lead_id] = str(refusal)
            progress.advance(task)
    for lead_id, message in failed.items():
        err.print(f"{lead_id}: {message}")
    out.print(f"retried {len(leads)} leads: {released} events handled, {len(failed)} leads stay parked")
    if failed:
        raise typer.Exit(NOT_DONE)


def _consumer_of(client: ParkingClient, service: str, lead_id: str) -> str:
    consumers = {event.consumer for event in client.list_events(lead_id=lead_id)}
    if not consumers:
        raise _not_parked(service, lead_id)
    if len(consumers) > 1:
        raise typer.BadParameter(f"The lead is parked with {', '.join(sorted(consumers))}: name one with --consumer.")
    return consumers.pop()


def _calling(service: ServiceName, url: str | None) -> AbstractContextManager[ParkingClient]:
    return calling(ParkingClient, service, url, scope="ops:replay", err=err)


def _by_lead(events: Iterator[Parked]) -> dict[tuple[str, str], list[Parked]]:
    leads: dict[tuple[str, str], list[Parked]] = {}
    for event in events:
        leads.setdefault((event.consumer, event.lead_id), []).append(event)
    return leads


def _not_parked(service: str, lead_id: str) -> typer.Exit:
    return _not_done(f"nothing of {lead_id} is parked at {service}")


def _not_done(sentence: str) -> typer.Exit:
    err.print(sentence)
    return typer.Exit(NOT_DONE)


def _instant(event: Parked) -> str:
    return f"{event.parked_at:%Y-%m-%d %H:%M:%S}"


def _table(*headers: str) -> Table:
    table = Table()
    for header in headers:
        table.add_column(header, overflow="fold")  # folded and not cut: an id must be there to copy
    return table


def _add_row(table: Table, *cells: str) -> None:
    """Add text that comes from events: whatever it holds, it must not command the terminal."""
    table.add_row(*("".join(letter if letter.isprintable() else "?" for letter in cell) for cell in cells))


def _print_json(events: Sequence[Parked]) -> None:
    for event in events:
        typer.echo(json.dumps(to_builtins(event)))
