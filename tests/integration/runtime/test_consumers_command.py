"""``leadrail consumers`` on a real installation: what an operator sees, may do, and is told when it cannot be done."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner, Result

from scoring.__main__ import build_service
from scoring.settings import ScoringSettings
from shared.cli import app
from shared.clock import format_instant
from shared.contracts import encode_event
from shared.ids import new_id
from shared.kafka import Outgoing, Publisher
from shared.runtime import Runtime
from shared.testing.builders import NOON, make_enriched

DONE, NOT_DONE, USAGE = 0, 1, 2


@dataclass
class Command:
    """The command line of somebody who operates this module's installation."""

    environment: Mapping[str, str]

    async def __call__(self, *words: str) -> Result:
        runner = CliRunner(env={**self.environment, "COLUMNS": "200"})
        return await asyncio.to_thread(lambda: runner.invoke(app, ["consumers", *words]))


@pytest.fixture
def consumers(service_environment: Mapping[str, str], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name, value in service_environment.items():
        monkeypatch.setenv(name, value)
    return Command({**service_environment, "DATABASE_URL": database_url})


@asynccontextmanager
async def scoring_running() -> AsyncIterator[None]:
    """Run the consumer of a real service until it has published what one event caused."""
    runtime = Runtime(build_service(ScoringSettings()))
    await runtime.open()
    loop = runtime.loops["scoring"]
    running = asyncio.create_task(loop.run())
    try:
        while loop.paused_for is not None:  # noqa: ASYNC110 - state of another task
            await asyncio.sleep(0.02)
        yield
    finally:
        await loop.drain()
        await running
        await runtime.close()


async def publish_one() -> None:
    event = make_enriched()
    publisher = Publisher(ScoringSettings(), "leadrail/test")
    instant = format_instant(NOON)
    await publisher.publish([Outgoing(new_id(), event.type, event.topic, event.lead_id, instant, encode_event(event))])
    await publisher.close()


async def listed(consumers: Command) -> list[dict[str, object]]:
    result = await consumers("list", "--json")
    assert result.exit_code == DONE, result.output
    return [json.loads(line) for line in result.output.splitlines() if line.startswith("{")]  # not the service's log


async def test_operator_sees_where_consumers_stand_and_rewinds_one_that_is_stopped(consumers: Command) -> None:
    await publish_one()
    async with scoring_running():
        while sum(int(str(row["position"])) for row in await listed(consumers)) == 0:  # noqa: ASYNC110 - in a database
            await asyncio.sleep(0.1)
        refused = await consumers("rewind", "scoring", "--to", "beginning")
    assert refused.exit_code == NOT_DONE
    assert "scoring is running (1 in its group): stop the service first." in refused.output

    rows = await listed(consumers)
    assert {(row["consumer"], row["topic"]) for row in rows} == {
        ("scoring", "leads.enriched"),
        ("scoring", "leads.activity"),
    }
    assert sorted(str(row["position"]) for row in rows) == ["0"] * 5 + ["1"]
    assert {(row["lag"], row["state"]) for row in rows} == {(0, "ok")}

    rewound = await consumers("rewind", "--all", "--to", "2026-01-01T00:00:00Z", "--why", "drill")
    assert rewound.exit_code == DONE, rewound.output
    assert sorted(str(row["lag"]) for row in await listed(consumers)) == ["0"] * 5 + ["1"]
    table = await consumers("list")
    assert "leads.enriched" in table.output


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("rewind", "nobody", "--to", "beginning"), NOT_DONE, "no service has a consumer nobody"),
        (("rewind", "scoring", "--to", "yesterday"), USAGE, "neither an RFC 3339 time nor 'beginning'"),
        (("rewind", "scoring", "--to", "2026-01-01T00:00:00"), USAGE, "lacks its offset from UTC"),
        (("rewind", "--to", "beginning"), USAGE, "name the consumers, or say --all"),
        (("rewind", "scoring", "--all", "--to", "beginning"), USAGE, "name the consumers, or say --all"),
        (("accept", "leads.nowhere", "--why", "test"), NOT_DONE, "there is no topic leads.nowhere"),
        (("accept", "leads.enriched", "--why", "test"), NOT_DONE, "no consumer refuses leads.enriched"),
        (("accept", "leads.enriched"), USAGE, "Missing option '--why'"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    consumers: Command, words: tuple[str, ...], code: int, sentence: str
) -> None:
    result = await consumers(*words)
    assert result.exit_code == code, result.output
    assert sentence in result.output
