"""How a command of ``leadrail`` calls a service: with which key, where, and how it ends if that fails."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Literal, TypeVar, get_args

import typer
from rich.console import Console

from shared.service_client import KEY_VARIABLE, NoAnswer, Refusal, ServiceClient

ServiceName = Literal["ingest", "scoring", "consent", "routing", "sla-monitor"]
DEFAULT_URLS = {name: f"http://127.0.0.1:{8001 + number}" for number, name in enumerate(get_args(ServiceName))}

NOT_DONE, USAGE, NO_ANSWER = 1, 2, 3
KEY_STATUSES = (401, 403)
SERVER_FAULT = 500

C = TypeVar("C", bound=ServiceClient)


def url_variable(service: ServiceName) -> str:
    """Return the environment variable that holds the base URL of a service."""
    return f"LEADRAIL_{service.upper().replace('-', '_')}_URL"


def is_away(error: NoAnswer | Refusal) -> bool:
    """Tell whether the service did not answer, or not as it should: it may later."""
    return isinstance(error, NoAnswer) or error.status >= SERVER_FAULT


def is_unable(error: NoAnswer | Refusal) -> bool:
    """Tell whether nothing was decided: the service is away, or refuses the key."""
    return is_away(error) or (isinstance(error, Refusal) and error.status in KEY_STATUSES)


@contextmanager
def calling(client: type[C], service: ServiceName, url: str | None, *, scope: str, err: Console) -> Iterator[C]:
    """Lend a *client* of a service; say on *err* in a sentence what went wrong, and end with an exit code for it."""
    variable = url_variable(service)
    try:
        with closing(client(url or os.environ.get(variable) or DEFAULT_URLS[service], _key(scope, err))) as lent:
            yield lent
    except Refusal as refusal:
        err.print(f"{service} refuses: {refusal}")
        raise typer.Exit(NO_ANSWER if is_unable(refusal) else NOT_DONE) from refusal
    except NoAnswer as error:
        err.print(f"{error}. Is {service} there? --url or {variable} says where.")
        raise typer.Exit(NO_ANSWER) from error


def _key(scope: str, err: Console) -> str:
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        err.print(f"{KEY_VARIABLE} is not set: it must hold an API key with the scope {scope}")
        raise typer.Exit(USAGE)
    if not (key.isascii() and key.isprintable()):
        err.print(f"{KEY_VARIABLE} holds letters that are in no API key: it must be lr_<id>_<secret>, as it was shown")
        raise typer.Exit(USAGE)
    return key
