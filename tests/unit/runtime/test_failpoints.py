"""Failpoints: what the variable may say, at which pass something happens, and that without it nothing does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared import failpoints
from shared.clock import SystemClock
from shared.failpoints import POINTS, VARIABLE, Failpoint, FailpointHit, FailpointsInvalid, ShiftedClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROGRAM = (
    "import os; from shared import failpoints; failpoints.arm(os.environ); failpoints.reach('shutdown'); print('on')"
)


class FixedClock:
    def now(self) -> datetime:
        return NOON


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def arm(text: str) -> None:
    failpoints.arm({VARIABLE: text})


@pytest.mark.parametrize(
    ("text", "failpoint"),
    [
        ("shutdown=kill", Failpoint("shutdown", "kill")),
        ("batch_after_commit=kill@40", Failpoint("batch_after_commit", "kill", nth=40)),
        ("callback_sent=stop", Failpoint("callback_sent", "stop")),
        ("batch_before_commit=wait:0.5@3", Failpoint("batch_before_commit", "wait", 0.5, 3)),
        ("clock=shift:-3600@100", Failpoint("clock", "shift", -3600, 100)),
        ("timer_claimed=fail@2", Failpoint("timer_claimed", "fail", nth=2)),
    ],
)
def test_entry_is_read_and_written_as_documented(text: str, failpoint: Failpoint) -> None:
    assert failpoints.parse_failpoints(text) == [failpoint]
    assert failpoints.parse_failpoints(str(failpoint)) == [failpoint]


def test_entries_are_separated_by_commas() -> None:
    text = "door_verified=fail@2, door_verified=kill@5,clock=shift:60,"
    assert [str(one) for one in failpoints.parse_failpoints(text)] == [
        "door_verified=fail@2", "door_verified=kill@5", "clock=shift:60@1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("batch_commit=kill", "there is no point 'batch_commit'; there are door_verified"),
        ("shutdown=explode", "there is no action 'explode'; there are kill"),
        ("shutdown", "an entry is point=action"),
        ("shutdown:kill", "an entry is point=action"),
        ("shutdown=kill:3", "the other actions take nothing"),
        ("shutdown=wait", "take seconds"),
        ("shutdown=wait:long", "'long' is no number of seconds"),
        ("shutdown=wait:-1", "'-1' is no number of seconds"),
        ("shutdown=wait:nan", "'nan' is no number of seconds"),
        ("shutdown=kill@0", "must be a number from 1"),
        ("shutdown=kill@", "must be a number from 1"),
        ("shutdown=kill@two", "must be a number from 1"),
        ("shutdown=shift:3", "the clock only shifts"),
        ("clock=kill", "the clock only shifts"),
        ("shutdown=kill@2,shutdown=stop@2", "shutdown@2 2 times"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(FailpointsInvalid) as refused:
        failpoints.parse_failpoints(text)
    assert reason in str(refused.value)
    assert VARIABLE in str(refused.value)


@pytest.mark.parametrize("point", POINTS)
def test_point_that_is_not_armed_does_nothing(point: failpoints.Point) -> None:
    failpoints.arm({})
    failpoints.reach(point)


def test_clock_is_the_machines_when_no_shift_is_armed() -> None:
    arm("shutdown=fail")
    assert type(failpoints.process_clock()) is SystemClock


def test_nth_pass_of_the_point_fails_and_no_other() -> None:
    arm("door_verified=fail@2")
    failpoints.reach("door_verified")
    failpoints.reach("door_after_commit")
    with pytest.raises(FailpointHit, match="door_verified=fail@2"):
        failpoints.reach("door_verified")
    failpoints.reach("door_verified")


def test_arming_again_counts_anew() -> None:
    arm("door_verified=fail@2")
    failpoints.reach("door_verified")
    arm("door_verified=fail@2")
    failpoints.reach("door_verified")
    with pytest.raises(FailpointHit):
        failpoints.reach("door_verified")


def test_refused_text_changes_nothing() -> None:
    arm("door_verified=fail")
    with pytest.raises(FailpointsInvalid):
        arm("nowhere=kill")
    with pytest.raises(FailpointHit):
        failpoints.reach("door_verified")


def test_wait_holds_the_whole_process() -> None:
    arm("shutdown=wait:0.05")
    started = time.monotonic()
    failpoints.reach("shutdown")
    assert time.monotonic() - started >= 0.05


def test_clock_jumps_at_its_nth_reading_and_stays_there() -> None:
    clock = ShiftedClock(FixedClock(), failpoints.parse_failpoints("clock=shift:60@2,clock=shift:-90@4"))
    assert [clock.now() - NOON for _ in range(5)] == [timedelta(seconds=seconds) for seconds in (0, 60, 60, -30, -30)]


def test_armed_clock_is_the_process_clock() -> None:
    arm("clock=shift:86400")
    ahead = failpoints.process_clock().now() - SystemClock().now()
    assert timedelta(hours=23) < ahead <= timedelta(days=1)


def run(text: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, VARIABLE: text}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)


def test_kill_ends_the_process_without_a_chance_to_clean_up() -> None:
    process = run("shutdown=kill")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert "on\n" not in output


def test_stopped_process_goes_on_when_somebody_continues_it() -> None:
    process = run("shutdown=stop")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output.splitlines()[-1]) == (0, "on")


def test_service_with_an_unknown_point_refuses_to_start_with_a_sentence() -> None:
    environment = {**os.environ, VARIABLE: "nowhere=kill", "LEADRAIL_SECRET_KEY": "k" * 40}
    ended = subprocess.run(
        [sys.executable, "-m", "scoring"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "LEADRAIL_FAILPOINTS holds 'nowhere=kill': there is no point 'nowhere'" in ended.stderr
    assert "Traceback" not in ended.stderr
