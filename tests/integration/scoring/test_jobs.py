"""Long work in a process of its own: it ends with a result or a reason, and no crash loses it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from scoring.jobs.execution import execute_job
from scoring.jobs.kinds import JobCancelled, JobContext, JobKind, JobRefused
from scoring.jobs.registry import KINDS, UnknownKind, get_kind
from scoring.jobs.repository import MOST_LOSSES, MOST_QUEUED, Claim, JobRepository, start_job
from scoring.jobs.runner import JobRunner
from shared.http import Strict
from shared.testing import ServiceHarness

CHILD = (sys.executable, str(Path(__file__).with_name("child_with_test_kinds.py")))
KEPT = timedelta(days=90)


class Asked(Strict):
    number: int = 0


@pytest.fixture
async def jobs(scoring: ServiceHarness) -> AsyncIterator[ServiceHarness]:
    yield scoring
    await scoring.fetch("DELETE FROM job")


async def ask(scoring: ServiceHarness, kind: str, number: int = 0) -> str:
    async with scoring.runtime.database.transaction() as sql:
        return await start_job(sql, kind, Asked(number=number), actor="ada", now=scoring.clock.now())


def runner_of(scoring: ServiceHarness, *command: str) -> JobRunner:
    return JobRunner(scoring.runtime, KEPT, command or CHILD)


async def execute(scoring: ServiceHarness, kind: JobKind[Any], number: int = 0) -> dict[str, Any]:
    """Run a job to its end in this process: another one takes a second to start."""
    job_id = await ask(scoring, kind.name, number)
    async with scoring.runtime.database.connection() as sql:
        claim = await JobRepository(sql).claim_due_job(scoring.clock.now())
    assert claim is not None
    [models] = [each for each in scoring.runtime.service.documents if each.kind == "scoring_model"]
    await execute_job(scoring.runtime.database, models, claim, scoring.clock, lambda _name: kind)
    return await show(scoring, job_id)


async def show(scoring: ServiceHarness, job_id: str) -> dict[str, Any]:
    answer = await scoring.http.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200
    job: dict[str, Any] = answer.json()
    return job


async def until(holds: Callable[[dict[str, Any]], bool], scoring: ServiceHarness, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not holds(job := await show(scoring, job_id)):  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)
    return job


@asynccontextmanager
async def running(runner: JobRunner) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        await runner.drain()
        async with asyncio.timeout(30):
            await task


async def test_a_job_runs_in_a_process_of_its_own_and_keeps_its_result(jobs):
    job_id = await ask(jobs, "double", 21)
    assert (await show(jobs, job_id))["state"] == "queued"
    assert await runner_of(jobs).run_once()
    job = await show(jobs, job_id)
    assert job["state"] == "done"
    assert job["result"]["doubled"] == 42
    assert job["result"]["process"] != os.getpid()
    assert job["result"]["asked_at"] == jobs.clock.now().isoformat()
    assert (job["done"], job["total"]) == (2, 2)
    assert (job["asked_by"], job["request"], job["error"]) == ("ada", {"number": 21}, None)


async def test_jobs_run_in_the_order_they_were_asked_for_until_none_is_left(jobs):
    first, second = await ask(jobs, "double", 1), await ask(jobs, "double", 2)
    runner = runner_of(jobs)
    assert await runner.run_once()
    assert [(await show(jobs, each))["state"] for each in (first, second)] == ["done", "queued"]
    assert await runner.run_once()
    assert not await runner.run_once()


async def test_a_job_that_cannot_be_done_says_why(jobs):
    async def refuse(_context: JobContext, _asked: Asked) -> dict[str, Any]:
        raise JobRefused("There is nothing to double.")

    job = await execute(jobs, JobKind("refuse", Asked, refuse))
    assert (job["state"], job["error"], job["result"]) == ("failed", "There is nothing to double.", None)


async def test_an_unexpected_failure_names_its_kind_and_nothing_personal(jobs):
    async def fail(_context: JobContext, _asked: Asked) -> dict[str, Any]:
        raise KeyError("ada@example.com")

    job = await execute(jobs, JobKind("fail", Asked, fail))
    assert job["state"] == "failed"
    assert "KeyError" in job["error"]
    assert "ada@" not in job["error"]


async def test_a_database_that_is_away_ends_the_process_and_not_the_job(jobs):
    async def fail(_context: JobContext, _asked: Asked) -> dict[str, Any]:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await execute(jobs, JobKind("fail", Asked, fail))
    [job] = (await jobs.http.get("/v1/jobs")).json()["items"]
    assert job["state"] == "running"


async def test_a_request_that_an_older_release_stored_and_this_one_cannot_read_is_said_to_be_so(jobs):
    class Narrower(Strict):
        colour: str

    async def run(_context: JobContext, _asked: Narrower) -> dict[str, Any]:
        raise AssertionError

    job = await execute(jobs, JobKind("double", Narrower, run))
    assert (job["state"], "ask again" in job["error"]) == ("failed", True)


async def test_a_job_that_was_cancelled_hears_of_it_when_it_reports(jobs):
    heard: list[bool] = []

    async def cancel_and_report(context: JobContext, _asked: Asked) -> dict[str, Any]:
        await jobs.http.post(f"/v1/jobs/{context.job_id}/cancel")
        try:
            await context.report(1, 2)
        except JobCancelled:
            heard.append(True)
            raise
        return {}

    job = await execute(jobs, JobKind("cancelled", Asked, cancel_and_report))
    assert heard == [True]
    assert (job["is_cancelled"], job["result"]) == (True, None)


async def test_a_killed_child_is_run_again(jobs):
    job_id = await ask(jobs, "die_once", 4)
    runner = runner_of(jobs)
    await runner.run_once()
    assert (await show(jobs, job_id))["state"] == "queued"
    await runner.run_once()
    assert (await show(jobs, job_id))["result"] == {"attempt": 2, "doubled": 8}


async def test_a_job_that_kills_every_process_is_given_up_with_a_reason(jobs):
    job_id = await ask(jobs, "die")
    runner = runner_of(jobs, sys.executable, "-c", "raise SystemExit(1)")
    for _ in range(MOST_LOSSES):
        assert await runner.run_once()
    job = await show(jobs, job_id)
    assert (job["state"], str(MOST_LOSSES) in job["error"]) == ("failed", True)
    assert not await runner.run_once()


async def test_a_job_whose_runner_does_not_look_after_it_any_more_is_taken_up(jobs):
    job_id = await ask(jobs, "double", 3)
    async with jobs.runtime.database.connection() as sql:
        claim = await JobRepository(sql).claim_due_job(jobs.clock.now())
    assert claim == Claim(job_id, 1)
    assert not await runner_of(jobs).run_once()
    await jobs.fetch("UPDATE job SET beat_at = beat_at - interval '6 seconds'")
    assert await runner_of(jobs).run_once()
    assert (await show(jobs, job_id))["result"]["doubled"] == 6


async def test_the_word_of_an_attempt_that_was_thought_dead_does_not_count(jobs):
    job_id = await ask(jobs, "double", 3)
    now = jobs.clock.now()
    async with jobs.runtime.database.connection() as sql:
        repo = JobRepository(sql)
        dead = await repo.claim_due_job(now)
        assert dead is not None
        await repo.lose_job(dead, now)
        living = await repo.claim_due_job(now)
        assert living == Claim(job_id, 2)
        await repo.save_result(dead, {"doubled": -1}, now)
        await repo.lose_job(dead, now)
        assert not await repo.beat(dead)
        assert not await repo.save_progress(dead, 1, 1)
        assert await repo.find_claimed(dead) is None
        assert await repo.beat(living)
    assert (await show(jobs, job_id))["state"] == "running"


async def test_of_two_runners_one_has_a_job_at_a_time(jobs):
    await ask(jobs, "double", 1)
    await ask(jobs, "double", 2)

    async def claim() -> Claim | None:
        async with jobs.runtime.database.connection() as sql:
            return await JobRepository(sql).claim_due_job(jobs.clock.now())

    claims = await asyncio.gather(*(claim() for _ in range(6)))
    assert len([each for each in claims if each is not None]) == 1
    with pytest.raises(asyncpg.UniqueViolationError):
        await jobs.fetch("UPDATE job SET state = 'running'")


async def test_a_service_that_ends_puts_its_job_back(jobs):
    job_id = await ask(jobs, "hang")
    async with running(runner_of(jobs)):
        await until(lambda job: job["done"] == 1, jobs, job_id)
    job = await show(jobs, job_id)
    assert (job["state"], job["error"]) == ("queued", None)
    [row] = await jobs.fetch("SELECT losses FROM job")
    assert row["losses"] == 0


async def test_a_child_whose_service_was_killed_ends_too(jobs):
    job_id = await ask(jobs, "hang")
    async with jobs.runtime.database.connection() as sql:
        claim = await JobRepository(sql).claim_due_job(jobs.clock.now())
    assert claim is not None
    script = (
        "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE);"
        "print(child.pid, flush=True); child.wait()"
    )
    environment = {**os.environ, **runner_of(jobs)._environment()}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *CHILD, job_id, "1", stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    await until(lambda job: job["done"] == 1, jobs, job_id)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_waiting_job_is_cancelled_at_once(jobs):
    job_id = await ask(jobs, "double")
    answer = await jobs.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert not await runner_of(jobs).run_once()


async def test_a_running_job_is_cancelled_and_its_process_ends(jobs):
    job_id = await ask(jobs, "hang")
    async with running(runner_of(jobs)):
        await until(lambda job: job["done"] == 1, jobs, job_id)
        assert (await jobs.http.post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
        job = await until(lambda job: job["state"] != "running", jobs, job_id)
    assert (job["state"], job["result"], job["error"]) == ("cancelled", None, None)
    [audit] = [
        row
        for row in (await jobs.http.get("/v1/audit", params={"subject": f"job/{job_id}"})).json()["items"]
        if row["action"] == "job.cancelled"
    ]
    assert audit["actor"].startswith("test-")


async def test_a_job_that_has_ended_cannot_be_cancelled(jobs):
    async def run(_context: JobContext, _asked: Asked) -> dict[str, Any]:
        return {}

    job = await execute(jobs, JobKind("double", Asked, run))
    answer = await jobs.http.post(f"/v1/jobs/{job['job_id']}/cancel")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "job_has_ended")


async def test_old_jobs_are_removed_after_their_time_and_no_others(jobs):
    old, young, waiting = [await ask(jobs, "double") for _ in range(3)]
    now = jobs.clock.now()
    await jobs.fetch("UPDATE job SET state = 'done', ended_at = $2 WHERE job_id = $1", old, now - timedelta(days=91))
    await jobs.fetch("UPDATE job SET state = 'done', ended_at = $2 WHERE job_id = $1", young, now - timedelta(days=89))
    await runner_of(jobs, sys.executable, "-c", "").run_once()
    listed = [job["job_id"] for job in (await jobs.http.get("/v1/jobs")).json()["items"]]
    assert listed == [waiting, young]


async def test_jobs_are_listed_in_pages_and_by_kind_and_state(jobs):
    ids = [await ask(jobs, kind) for kind in ("double", "refuse", "double", "double")]
    await jobs.http.post(f"/v1/jobs/{ids[3]}/cancel")
    page = (await jobs.http.get("/v1/jobs", params={"kind": "double", "limit": 2})).json()
    assert [job["job_id"] for job in page["items"]] == [ids[3], ids[2]]
    rest = (await jobs.http.get("/v1/jobs", params={"kind": "double", "cursor": page["next_cursor"]})).json()
    assert ([job["job_id"] for job in rest["items"]], rest["next_cursor"]) == ([ids[0]], None)
    queued = (await jobs.http.get("/v1/jobs", params={"state": "queued"})).json()["items"]
    assert [job["job_id"] for job in queued] == [ids[2], ids[1], ids[0]]


async def test_a_bad_cursor_and_an_unknown_job_are_said_to_be_so(jobs):
    assert (await jobs.http.get("/v1/jobs", params={"cursor": "WyJhIl0"})).status_code == 422
    unknown = "0199b5d0-0000-7000-8000-00000000ffff"
    assert (await jobs.http.get(f"/v1/jobs/{unknown}")).status_code == 404
    assert (await jobs.http.post(f"/v1/jobs/{unknown}/cancel")).status_code == 404


async def test_jobs_need_the_scope_to_plan(jobs):
    async with jobs.http_as("leads:read") as client:
        assert (await client.get("/v1/jobs")).status_code == 403
        assert (await client.post("/v1/jobs/0199b5d0-0000-7000-8000-00000000ffff/cancel")).status_code == 403


async def test_a_ranking_is_cancelled_only_by_who_may_start_one(jobs):
    job_id, other = await ask(jobs, "ranking"), await ask(jobs, "plan")
    async with jobs.http_as("config:plan") as planner, jobs.http_as("config:apply") as applier:
        refused = await planner.post(f"/v1/jobs/{job_id}/cancel")
        assert (refused.status_code, "config:apply" in refused.json()["detail"]) == (403, True)
        assert (await applier.post(f"/v1/jobs/{other}/cancel")).status_code == 403
        assert (await planner.post("/v1/jobs/no-id/cancel")).status_code == 422
        assert (await applier.post(f"/v1/jobs/{job_id}/cancel")).json()["state"] == "cancelled"
        assert (await planner.post(f"/v1/jobs/{other}/cancel")).json()["state"] == "cancelled"


async def test_what_was_asked_for_is_in_the_audit(jobs):
    job_id = (await jobs.http.post("/v1/plans", json={"version": "1", "days": 7})).json()["job_id"]
    [audit] = (await jobs.http.get("/v1/audit", params={"subject": f"job/{job_id}"})).json()["items"]
    request = {"version": "1", "days": 7, "until": None, "sample": None}
    assert (audit["action"], audit["after"]) == ("plan.started", {"kind": "plan", "request": request})


async def test_the_queue_is_bounded(jobs):
    for _ in range(MOST_QUEUED):
        await ask(jobs, "double")
    answer = await jobs.http.post("/v1/plans", json={"version": "1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")


async def test_the_child_that_the_service_ships_answers_a_kind_of_another_release(jobs):
    job_id = await ask(jobs, "of_another_release")
    await JobRunner(jobs.runtime, KEPT).run_once()
    job = await show(jobs, job_id)
    assert (job["state"], "release" in job["error"]) == ("failed", True)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_in_the_registry_exists_under_its_name(name):
    assert get_kind(name).name == name


def test_an_unknown_kind_is_said_to_be_so():
    with pytest.raises(UnknownKind):
        get_kind("no_such_kind")
