"""The demo waits, tells and gives up as it should, without services."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from local_stack.demo import place as places
from local_stack.demo import run as runs
from local_stack.demo.place import Place, demo_place
from local_stack.demo.progress import Progress
from local_stack.demo.report import print_run, print_urls, summarize
from local_stack.failure import StackError
from local_stack.load.crm import Crm
from local_stack.state import StackState, this_process, write_state

from .test_checks import quarantined, run, story, withheld

SETTLED = {"balanced": True, "in_flight": 0}
CHANNEL = {"channel": "email", "allowed": True, "rule_id": "DE-INQUIRY", "reason": "inquiry"}


def console() -> Console:
    return Console(file=io.StringIO(), width=150)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def place(**fields: Any) -> Place:
    urls = {"ingest": "http://ingest", "routing": "http://routing"}
    values: dict[str, Any] = {
        "urls": urls,
        "admin_key": "lr_key",
        "secret_key": "secret",
        "public_url": urls["ingest"],
        "logs": Path("logs"),
        "is_alone": True,
        "check_running": lambda: None,
    }
    return Place(**{**values, **fields})


async def settle(ledgers: list[dict[str, Any]], pending: list[int], **fields: Any) -> tuple[int, list[str]]:
    """Return what `_settle` says when each poll finds the next of *ledgers* and *pending*."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/ledger":
            return httpx.Response(200, json=ledgers.pop(0))
        assert dict(request.url.params)["endpoint_id"] == "e-1"
        return httpx.Response(200, json={"items": [{}] * pending.pop(0)})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await runs._Demo(place(**fields), console())._settle(client, Crm(""), "e-1")


async def test_demo_waits_until_nothing_is_in_flight_and_no_callback_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "POLL_SECONDS", 0)
    ledgers = [{"balanced": True, "in_flight": 2}, SETTLED, {"balanced": False, "in_flight": 0}, SETTLED]
    assert await settle(ledgers, [0, 3, 0, 0]) == (0, [])
    assert ledgers == []


async def test_demo_that_waited_too_long_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SETTLE_SECONDS", -1)
    pending, [problem] = await settle([{"balanced": True, "in_flight": 2}], [3])
    assert pending == 3
    assert "2 records are in flight, 3 callbacks pending, 0 callbacks received" in problem


async def test_demo_does_not_wait_for_a_service_that_ended() -> None:
    def check_running() -> None:
        raise StackError("scoring ended with exit code 1")

    with pytest.raises(StackError, match="scoring ended"):
        await settle([SETTLED], [0], check_running=check_running)


def test_all_tables_are_printed() -> None:
    output = console()
    channels = {"channels": [CHANNEL], "decided_at": "2026-11-24T12:00:01Z"}
    owner = {"rep_id": "carol", "assignment_id": "a-1", "rep_name": "Carol Diaz", "rule_id": "americas"}
    owner["assigned_at"] = "2026-11-24T12:00:02Z"
    routing: dict[str, Any] = {"owner": owner, "callbacks": [], "decision": None}
    score = {"decided": {"points": 71.6, "grade": "B", "scored_at": "2026-11-24T12:00:00.5Z"}}
    denied = {**channels, "channels": [{**CHANNEL, "allowed": False, "reason": "not_confirmed"}]}
    whole = run(
        story(score=score, consent=channels, routing=routing),
        withheld(score=score, consent=denied),
        quarantined(),
    )
    empty = {"activity": 0, "ignored": 0, "quarantined": 1, "discarded": 0}
    whole = whole._replace(ledger={**whole.ledger, **empty, "mapped_by_state": {"assigned": 1, "withheld": 1}})
    print_run(output, whole, 1, {"captured": {0.1: 3.0, 1.0: 3.0}})
    print_urls(output, {"ingest": "http://127.0.0.1:8001"})
    output.print(summarize(whole))
    for part in (
        "72 B", "email (DE-INQUIRY: inquiry)", "none (DE-INQUIRY: not_confirmed)", "Carol Diaz (americas)", "verified",
        "withheld by consent", "quarantined: no_contact", "accepted", "accepted = the sum of all states", "captured",
        "histogram, interpolated", "stored instants, exact", "2000", "http://127.0.0.1:8001/docs",
        "http://127.0.0.1:8001/metrics", "1 deliveries accepted, 0 refused; 3 records",
    ):  # fmt: skip
        assert part in said(output)


def test_ledger_that_does_not_balance_is_said_so() -> None:
    output = console()
    whole = run(quarantined())
    names = ("activity", "ignored", "quarantined", "discarded")
    broken = {**whole.ledger, "balanced": False, "mapped_by_state": {}, **dict.fromkeys(names, 0)}
    print_run(output, whole._replace(ledger=broken), 1, {})
    assert "THE LEDGER DOES NOT BALANCE" in said(output)


def test_without_a_terminal_progress_is_one_plain_line() -> None:
    output = console()
    with Progress(output, "posted", 200) as progress:
        progress.advance()
        progress.tell("something")
    assert said(output).startswith("200 leads posted (")
    assert said(output).count("\n") == 1


def test_second_demo_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with places._only_demo(tmp_path), pytest.raises(StackError, match="A demo runs in this checkout already"):  # noqa: SIM117
        with places._only_demo(tmp_path):
            pass


def test_stack_of_up_is_used_once_its_services_are_ready(tmp_path: Path) -> None:
    state = StackState(this_process(), "postgresql://", "kafka:9092", [], is_shared=True)
    write_state(tmp_path, state)
    with pytest.raises(StackError, match="no ingest that is ready"), demo_place(tmp_path, lambda _: None):
        pass


def test_stack_that_another_command_measures_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise StackError("The stack of this checkout is already running")

    monkeypatch.setattr(places, "running_stack", refuse)
    write_state(tmp_path, StackState(this_process(), "postgresql://", "kafka:9092", []))
    with pytest.raises(StackError, match="already running"), demo_place(tmp_path, lambda _: None):
        pass
