"""``leadrail parked`` against a running service, on real Kafka and Postgres: what a person sees and decides."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import get_args

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from shared.access import create_key
from shared.cli import app
from shared.clock import SystemClock
from shared.db import ConnectionSql
from shared.provision import SERVICES
from shared.runtime.serving import serve
from shared.service_calls import ServiceName
from shared.service_client import KEY_VARIABLE

from .conftest import Toy
from .test_consumer_on_kafka import publish, until

OPERATOR = "olga"
DONE, NOT_DONE, USAGE, NO_ANSWER = 0, 1, 2, 3


@dataclass
class Command:
    """The command line of somebody with an API key."""

    url: str
    key: str | None

    async def __call__(self, verb: str, *arguments: str, service: str = "scoring") -> Result:
        runner = CliRunner(env={KEY_VARIABLE: self.key, "COLUMNS": "200"})
        words = ["parked", verb, service, *arguments, "--url", self.url]
        return await asyncio.to_thread(lambda: runner.invoke(app, words))


async def key_of(toy: Toy, *scopes: str, client: str = OPERATOR) -> str:
    connection = await asyncpg.connect(toy.url)
    try:
        return await create_key(ConnectionSql(connection), client=client, scopes=scopes, now=SystemClock().now())
    finally:
        await connection.close()


@asynccontextmanager
async def running(toy: Toy) -> AsyncIterator[Command]:
    """Run the toy service as a process would, and yield its operator's command line."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        toy.settings = toy.settings.model_copy(update={"port": probe.getsockname()[1]})
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(toy.service(), stop=stop))
    try:
        yield Command(f"http://127.0.0.1:{toy.settings.port}", await key_of(toy, "ops:replay"))
    finally:
        stop.set()
        await serving


async def parked(toy: Toy, count: int) -> None:
    await until(lambda: toy.fetch("SELECT FROM toy.parked OFFSET $1", count - 1))


async def test_person_sees_retries_and_gives_up_what_waits_in_order_and_the_audit_knows_who_and_why(
    toy_with_topics: Toy,
) -> None:
    toy = toy_with_topics
    toy.faults.poison = {"bad"}
    await publish(toy, "bad", "b", "c", lead_id="lead-1")
    await publish(toy, "bad", lead_id="lead/2 ?#")
    async with running(toy) as command:
        await parked(toy, 4)
        listed = (await command("list")).stdout
        assert "lead-1" in listed
        assert "lead/2 ?#" in listed
        assert "digest this" in listed  # folded where the terminal is narrow
        lines = (await command("show", "lead-1", "--json")).stdout.splitlines()
        assert [json.loads(line)["error"].split(":")[0] for line in lines] == [
            "ValueError", "waits behind an earlier event", "waits behind an earlier event",
        ]  # fmt: skip
        failing = await command("retry", "lead-1")
        assert (failing.exit_code, "fails again" in failing.stderr) == (NOT_DONE, True)
        assert (await command("skip", "lead-1")).exit_code == USAGE, "a reason is needed"
        assert await toy.seen() == []
        skipped = await command("skip", "lead-1", "--why", "the row is beyond repair")
        assert (skipped.exit_code, "2 still wait" in skipped.stdout) == (DONE, True)
        released = await command("retry", "lead-1", "--consumer", "toy")
        assert (released.exit_code, "2 events handled" in released.stdout) == (DONE, True)
        toy.faults.poison = set()
        odd = await command("retry", "lead/2 ?#")
        assert odd.exit_code == DONE, odd.stderr
        assert "nothing is parked" in (await command("list")).stdout
    assert await toy.seen() == [("lead-1", "b"), ("lead-1", "c"), ("lead/2 ?#", "bad")]
    audit = await toy.fetch("SELECT actor, action, subject, why FROM toy.audit ORDER BY audit_id")
    assert [tuple(row.values()) for row in audit] == [
        (OPERATOR, "parking.skipped", "lead-1", "the row is beyond repair"),
        (OPERATOR, "parking.retried", "lead-1", None),
        (OPERATOR, "parking.retried", "lead/2 ?#", None),
    ]


async def test_all_leads_of_a_consumer_are_retried_and_one_that_still_fails_keeps_no_other(
    toy_with_topics: Toy,
) -> None:
    toy = toy_with_topics
    toy.faults.poison = {"bad", "mended"}
    for number in range(3):
        await publish(toy, "mended", "behind", lead_id=f"lead-{number}")
    await publish(toy, "bad", lead_id="lead-bad")
    async with running(toy) as command:
        await parked(toy, 7)
        toy.faults.poison = {"bad"}
        some = await command("retry", "--all-of-consumer", "toy")
        assert (some.exit_code, "lead-bad" in some.stderr) == (NOT_DONE, True)
        assert "6 events handled, 1 leads stay parked" in some.stdout
        toy.faults.poison = set()
        assert (await command("retry", "--all-of-consumer", "toy")).exit_code == DONE
        assert (await command("retry", "--all-of-consumer", "toy")).exit_code == NOT_DONE, "nothing is left"
    assert len(await toy.seen()) == 7


async def test_command_says_in_a_sentence_why_it_could_not(toy: Toy) -> None:
    async with running(toy) as command:
        await until(lambda: _answers(toy.settings.port))
        weak = Command(command.url, await key_of(toy, "leads:read", client="weak"))
        nobody = Command("http://127.0.0.1:1", command.key)
        for result, exit_code, sentence in (
            (await command("show", "lead-1"), NOT_DONE, "nothing of lead-1 is parked"),
            (await command("skip", "lead-1", "--why", "because"), NOT_DONE, "nothing of lead-1 is parked"),
            (await command("retry", "lead-1", "--consumer", "none"), NOT_DONE, "no such consumer"),
            (await command("retry"), USAGE, "--all-of-consumer"),
            (await command("retry", "lead-1", "--all-of-consumer", "toy"), USAGE, "not both"),
            (await command("list", service="sorting"), USAGE, "sorting"),
            (await Command(command.url, None)("list"), USAGE, KEY_VARIABLE),
            (await Command(command.url, "lr_none")("list"), NO_ANSWER, "valid API key"),
            (await weak("list"), NO_ANSWER, "ops:replay"),
            (await nobody("list"), NO_ANSWER, "does not answer"),
        ):
            assert (result.exit_code, sentence in " ".join(result.stderr.split())) == (exit_code, True), result.output


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("verb", ["list", "show", "retry", "skip"])
def test_every_command_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(app, ["parked", verb, "--help"])
    assert (result.exit_code, "service" in result.stdout) == (DONE, True)


def test_command_knows_every_service() -> None:
    assert get_args(ServiceName) == SERVICES
