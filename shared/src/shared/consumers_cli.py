"""``leadrail consumers``: where the consumer groups stand, rewinding them, accepting a topic that was created anew."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from shared.runtime.consumer_groups import (
    ConsumerGroups,
    ConsumerUnknown,
    GroupInUse,
    NothingRefused,
    Standing,
    TopicMissing,
)
from shared.settings import ServiceSettings

T = TypeVar("T")

consumers = typer.Typer(
    no_args_is_help=True,
    help="Consumer groups: where they stand, rewind, accept a topic that was created anew. KAFKA_BOOTSTRAP_SERVERS and"
    " KAFKA_TOPIC_PREFIX say where, as for the services.",
)

DatabaseUrl = Annotated[
    str, typer.Option("--database-url", envvar="DATABASE_URL", help="URL of the role that provisioned the services.")
]
out = Console(markup=False, highlight=False)


@consumers.command("list")
def list_consumers(
    database_url: DatabaseUrl, *, as_json: Annotated[bool, typer.Option("--json", help="One object per line.")] = False
) -> None:
    """Show what each consumer handled last, where its topics end, and how many records lie between."""
    standings = _run(_groups(database_url).list_standings())
    if as_json:
        for one in standings:
            typer.echo(json.dumps(_as_object(one)))
        return
    table = Table("consumer", "topic", "partition", "position", "end", "lag", "state")
    for one in standings:
        table.add_row(*("" if value is None else str(value) for value in _as_object(one).values()))
    out.print(table if standings else "no consumer has run yet")


@consumers.command("rewind")
def rewind_consumers(
    database_url: DatabaseUrl,
    to: Annotated[str, typer.Option(help="RFC 3339 time with its offset from UTC, or 'beginning'.")],
    consumer: Annotated[list[str] | None, typer.Argument(help="One or more, as `list` shows them.")] = None,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Every consumer of every service.")] = False,
    why: Annotated[str | None, typer.Option(help="The reason, for the audit.")] = None,
) -> None:
    """Have stopped consumers handle their events again from an earlier time. Always safe: no effect happens twice.

    Stop the services first. Records are found by the time at which they were written, by the clock of the writer: give
    a time a little too early. A consumer never moves forward, and what Kafka has deleted cannot be read again.
    """
    instant = _parse_time(to)
    groups = _groups(database_url)
    if bool(consumer) == is_all:
        raise typer.BadParameter("name the consumers, or say --all")
    names = consumer or sorted({one.consumer for one in _run(groups.list_standings())})
    moves = _run(groups.rewind(names, instant, why=why))
    table = Table("consumer", "topic", "partition", "from", "to")
    for move in moves:
        table.add_row(move.consumer, move.place.topic, str(move.place.partition), str(move.before), str(move.after))
    out.print(table)


@consumers.command("accept")
def accept_topic(
    database_url: DatabaseUrl,
    topic: Annotated[str, typer.Argument(help="As `topics list` shows it, without prefix.")],
    why: Annotated[str, typer.Option(help="The reason, for the audit.")],
) -> None:
    """Let consumers read a topic that was deleted and created again, or cut short, from its beginning.

    Until then they refuse it (`topic_recreated` in /readyz and in the log), because events that nobody had handled may
    be gone with the old topic. They resume by themselves within seconds. Events that were handled before are known.
    """
    for name in _run(_groups(database_url).accept(topic, why=why)):
        out.print(f"{name} reads {topic} from its beginning")


def _groups(database_url: str) -> ConsumerGroups:
    return ConsumerGroups(ServiceSettings(database_url=SecretStr("")), database_url)


def _run(action: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(action)
    except ConsumerUnknown as error:
        sentence = f"no service has a consumer {error}; `leadrail consumers list` shows them"
    except NothingRefused as error:
        sentence = f"no consumer refuses {error}: there is nothing to accept"
    except TopicMissing as error:
        sentence = f"there is no topic {error}; `leadrail topics create` creates what is missing"
    except GroupInUse as error:
        sentence = str(error)
    except KafkaError as error:
        sentence = f"Kafka: {error}"
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


def _parse_time(text: str) -> datetime | None:
    if text == "beginning":
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither an RFC 3339 time nor 'beginning'") from error
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} lacks its offset from UTC: append Z if it is UTC")
    return instant


def _as_object(one: Standing) -> dict[str, str | int | None]:
    end = None if one.log is None else one.log.end
    lag = None if end is None or one.refusal else max(0, end - one.next_offset)
    state = f"refused: {one.refusal}" if one.refusal else "ok"
    return {
        "consumer": one.consumer,
        "topic": one.place.topic,
        "partition": one.place.partition,
        "position": one.next_offset,
        "end": end,
        "lag": lag,
        "state": state,
    }
