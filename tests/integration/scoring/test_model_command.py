"""``leadrail model`` against a running scoring service: what a person sees before a version goes live."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import shared.model_cli
from scoring.__main__ import build_service
from scoring.jobs.runner import JobRunner
from scoring.model_document import default_model_text
from scoring.settings import ScoringSettings
from shared import model_cli
from shared.cli import app
from shared.model_client import ModelClient, Plan
from shared.runtime.server import HttpServer
from shared.service_client import KEY_VARIABLE, NoAnswer, Refusal
from shared.testing import ServiceHarness
from shared.testing.builders import make_enriched, make_facts, make_lead

DONE, NOT_DONE, USAGE, NO_ANSWER = 0, 1, 2, 3


@dataclass
class Command:
    """The command line of somebody with an API key."""

    harness: ServiceHarness
    url: str
    key: str

    async def __call__(self, *words: str, answer: str = "", key: str | None = None) -> Result:
        runner = CliRunner(env={KEY_VARIABLE: self.key if key is None else key})
        arguments = ["model", *words, "--url", self.url]
        return await asyncio.to_thread(lambda: runner.invoke(app, arguments, input=answer))


@pytest.fixture
async def leadrail(create_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Command]:
    """Run scoring's routes and its jobs, as the service would, but without Kafka. The terminal is wide."""
    for console in (shared.model_cli.out, shared.model_cli.err):
        monkeypatch.setattr(console, "width", 200)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with ServiceHarness.start(build_service, ScoringSettings, create_database(), port=port) as harness:
        duties = HttpServer(harness.runtime), JobRunner(harness.runtime, timedelta(days=1))
        tasks = [asyncio.create_task(duty.run()) for duty in duties]
        yield Command(
            harness, f"http://127.0.0.1:{port}", harness.http.headers["authorization"].removeprefix("Bearer ")
        )
        for duty in duties:
            await duty.drain()
        await asyncio.gather(*tasks)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(default_model_text().replace("points: 22", "points: 24.5"), encoding="utf-8")
    return path


async def test_a_person_stores_plans_and_applies_a_version_and_the_audit_names_the_plan(leadrail, draft):
    lead = make_enriched(lead=make_lead(industry=None, employees=None), facts=make_facts(seniority="vp"))
    await leadrail.harness.feed(lead)
    leadrail.harness.clock.advance(hours=1)
    stored = await leadrail("draft", str(draft), "--why", "vps buy")
    assert (stored.exit_code, "version 2" in stored.output) == (DONE, True)

    unplanned = await leadrail("apply", "2", "--why", "vps buy", answer="n\n")
    assert (unplanned.exit_code, "never planned" in unplanned.output) == (NOT_DONE, True)
    assert "never backtested" in unplanned.output

    planned = await leadrail("plan", "2", "--days", "7")
    assert planned.exit_code == DONE, planned.output
    for shown in ("1 leads", "+2.50", "job_title/vp", lead.lead_id, "22.00 > 24.50", "trial_usage/trial_usage"):
        assert shown in planned.output

    applied = await leadrail("apply", "2", "--why", "vps buy", answer="y\n")
    assert applied.exit_code == DONE, applied.output
    assert "which is live still" in applied.output
    assert lead.lead_id in applied.output
    listed = await leadrail("versions")
    assert [line for line in listed.output.splitlines() if "live" in line and " 2 " in line]
    [audit] = [
        row
        for row in (await leadrail.harness.http.get("/v1/audit")).json()["items"]
        if row["action"] == "scoring_model.applied"
    ]
    [plan] = (await leadrail.harness.http.get("/v1/plans")).json()["items"]
    assert audit["why"] == f"vps buy (plan {plan['job_id']})"

    again = await leadrail("apply", "2", "--why", "again", answer="y\n")
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (DONE, "version 2 is live already: nothing to do")
    assert len(await leadrail.harness.fetch("SELECT FROM audit WHERE action = 'scoring_model.applied'")) == 1

    assert (await leadrail("draft", str(draft), "--why", "a third")).exit_code == DONE
    assert (await leadrail("apply", "3", "--why", "a third", "--yes")).exit_code == DONE
    stale = await leadrail("apply", "2", "--why", "again", answer="n\n")
    assert "but 3 is live by now: plan again" in stale.output


async def test_a_reason_too_long_with_the_ids_is_said_before_anything_is_asked(leadrail, draft):
    await leadrail.harness.feed(make_enriched())
    leadrail.harness.clock.advance(hours=1)
    await leadrail("draft", str(draft), "--why", "vps buy")
    assert (await leadrail("plan", "2")).exit_code == DONE
    long = await leadrail("apply", "2", "--why", "x" * 480, answer="y\n")
    assert (long.exit_code, "Apply version 2?" in long.output) == (USAGE, False)
    added = len(" (plan )") + 36
    assert f"has {480 + added} characters, and the limit is 500: shorten --why by {added - 20}" in long.output
    fitting = await leadrail("apply", "2", "--why", "x" * (500 - added), answer="y\n")
    assert fitting.exit_code == DONE, fitting.output


async def test_a_plan_is_followed_over_calls_that_fail(leadrail, monkeypatch):
    await leadrail.harness.feed(make_enriched())
    leadrail.harness.clock.advance(hours=1)
    failures = [NoAnswer("gone"), Refusal(503, "database_away", "The database is away")]
    look = ModelClient.get_plan

    def get_plan(client: ModelClient, plan_id: str) -> tuple[Plan, dict[str, Any]]:
        if failures:
            raise failures.pop()
        return look(client, plan_id)

    monkeypatch.setattr(ModelClient, "get_plan", get_plan)
    answer = await leadrail("plan", "1", "--json")
    assert (answer.exit_code, failures) == (DONE, [])


@pytest.mark.parametrize("failure", [NoAnswer("gone"), Refusal(401, "unauthorized", "A valid API key is needed")])
async def test_a_plan_that_cannot_be_followed_any_more_is_named(leadrail, monkeypatch, failure):
    await leadrail.harness.feed(make_enriched())

    def get_plan(_client: ModelClient, _plan_id: str) -> tuple[Plan, dict[str, Any]]:
        raise failure

    monkeypatch.setattr(ModelClient, "get_plan", get_plan)
    monkeypatch.setattr(model_cli, "PATIENCE_SECONDS", 0.0)
    answer = await leadrail("plan", "1")
    [plan] = (await leadrail.harness.http.get("/v1/plans")).json()["items"]
    assert answer.exit_code == NO_ANSWER
    assert f"plan {plan['job_id']} goes on without this command" in answer.output


async def test_a_plan_is_json_for_other_programs(leadrail):
    await leadrail.harness.feed(make_enriched())
    leadrail.harness.clock.advance(hours=1)
    answer = await leadrail("plan", "1", "--json")
    assert answer.exit_code == DONE, answer.output
    printed = answer.stdout.splitlines()[-1]  # the service logs to the same place, only here
    assert json.loads(printed)["points"]["mean"] == 0.0


async def test_what_cannot_be_done_is_a_sentence_and_an_exit_code(leadrail, draft, tmp_path):
    nobody = await leadrail("plan", "1")
    assert (nobody.exit_code, "No lead was scored in this period" in nobody.output) == (NOT_DONE, True)
    unknown = await leadrail("plan", "99")
    assert (unknown.exit_code, "No such version" in unknown.output) == (NOT_DONE, True)
    draft.write_text(draft.read_text().replace("half_life_days: 14", "half_life_days: 0"))
    invalid = await leadrail("draft", str(draft), "--why", "a test")
    assert (invalid.exit_code, "/decay/half_life_days" in invalid.output) == (NOT_DONE, True)
    (tmp_path / "latin1.yaml").write_bytes(b"name: caf\xe9")
    assert (await leadrail("draft", str(tmp_path / "latin1.yaml"), "--why", "a test")).exit_code == USAGE
    assert (await leadrail("versions", key="lr_no_key")).exit_code == NO_ANSWER
    assert (await leadrail("plan", "1", "--days", "0")).exit_code == USAGE
    assert (await leadrail("plan", "1", key="")).exit_code == USAGE
    copied_badly = await leadrail("plan", "1", key="lr_k\N{LATIN SMALL LETTER E WITH ACUTE}y\u2026")
    assert (copied_badly.exit_code, KEY_VARIABLE in copied_badly.output) == (USAGE, True)
