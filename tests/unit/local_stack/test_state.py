"""What is running, and what only looks as if."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_stack.failure import StackError
from local_stack.state import ProcessRecord, StackState, only_stack, read_state, this_process, write_state

SLEEPER = [sys.executable, "-I", "-S", "-c", "input()"]


def make_state(supervisor: ProcessRecord, *processes: ProcessRecord) -> StackState:
    return StackState(
        supervisor=supervisor,
        database_url="postgresql://leadrail:secret@127.0.0.1:1/leadrail",
        kafka_bootstrap_servers="127.0.0.1:2",
        processes=list(processes),
    )


@pytest.fixture
def sleeper() -> Iterator[ProcessRecord]:
    """Yield the record of a process in a group of its own that waits."""
    with subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield ProcessRecord("sleeper", process.pid, psutil.Process(process.pid).create_time())
        process.kill()


def test_state_of_a_running_supervisor_is_read_back(tmp_path: Path) -> None:
    state = make_state(this_process(), ProcessRecord("ingest", 1, 2.5, "http://127.0.0.1:8001"))
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert state.service_urls == {"ingest": "http://127.0.0.1:8001"}


def test_state_holds_a_password_and_is_for_its_owner_only(tmp_path: Path) -> None:
    write_state(tmp_path, make_state(this_process()))
    assert (tmp_path / "stack.json").stat().st_mode & 0o077 == 0


def test_later_process_with_the_same_pid_is_not_taken_for_the_supervisor(tmp_path: Path) -> None:
    earlier = ProcessRecord("supervisor", os.getpid(), this_process().started_at - 60)
    write_state(tmp_path, make_state(earlier))
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"supervisor": 1}'])
def test_damaged_state_counts_as_nothing_running(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "stack.json").write_bytes(content)
    assert read_state(tmp_path) is None


def test_second_stack_on_the_same_data_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with only_stack(tmp_path):
        write_state(tmp_path, make_state(this_process()))
        with (
            pytest.raises(StackError, match=rf"already running \(pid {os.getpid()}\).*make down"),
            only_stack(tmp_path),
        ):
            pass
        assert read_state(tmp_path) is not None, "the refused one must not remove the state of the running one"


def test_stacks_on_two_folders_do_not_know_each_other(tmp_path: Path) -> None:
    with only_stack(tmp_path / "one"), only_stack(tmp_path / "two"):
        assert read_state(tmp_path / "one") is None


def test_state_is_gone_after_the_stack(tmp_path: Path) -> None:
    with only_stack(tmp_path):
        write_state(tmp_path, make_state(this_process()))
    assert read_state(tmp_path) is None
    with only_stack(tmp_path):
        pass


def test_children_of_a_crashed_stack_are_killed_before_the_next_starts(tmp_path: Path, sleeper: ProcessRecord) -> None:
    dead = ProcessRecord("supervisor", sleeper.pid, sleeper.started_at - 60)
    write_state(tmp_path, make_state(dead, sleeper))
    with only_stack(tmp_path):
        assert sleeper.find() is None


def test_strangers_with_a_recorded_pid_are_left_alone(tmp_path: Path, sleeper: ProcessRecord) -> None:
    stranger = ProcessRecord("kafka", sleeper.pid, sleeper.started_at - 60)
    write_state(tmp_path, make_state(stranger, stranger))
    with only_stack(tmp_path):
        assert sleeper.find() is not None
