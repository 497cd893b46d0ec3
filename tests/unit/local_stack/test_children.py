"""Child processes and the life of their parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local_stack.children import Child
from local_stack.failure import StackError

PYTHON = [sys.executable, "-I", "-S", "-c"]
# Starts a child that ignores every polite signal, tells its pid, and waits.
PARENT = """
import sys
from pathlib import Path
from local_stack.children import Child
program = (
    "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print('up', flush=True); signal.pause()"
)
child = Child("stubborn", [sys.executable, "-I", "-S", "-c", program], log=Path(sys.argv[1]))
print(child.pid, flush=True)
sys.stdin.read()
"""


def wait_for_text(log: Path, text: str, process: psutil.Process) -> None:
    while text not in (log.read_text("utf-8") if log.exists() else ""):
        assert process.is_running()


def test_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for_text(log, "up", child)
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]


def test_stubborn_child_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    program = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    child = Child("stubborn", [*PYTHON, program], log=log)
    wait_for_text(log, "up", psutil.Process(child.pid))
    child.stop(signal.SIGTERM, 0.05)
    assert child.exit_code() == -signal.SIGKILL


def test_child_is_in_a_group_of_its_own_so_that_ctrl_c_reaches_only_the_supervisor(tmp_path: Path) -> None:
    child = Child("waiting", [*PYTHON, "import signal; signal.pause()"], log=tmp_path / "log")
    try:
        assert os.getpgid(child.pid) == child.pid
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        child.stop(signal.SIGKILL, 5)


def test_child_that_ended_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("scoring", [*PYTHON, "import sys; print('no such model'); sys.exit(3)"], log=tmp_path / "log")
    with pytest.raises(StackError, match=r"(?s)scoring ended with exit code 3.*no such model"):
        child.finish(10)


def test_stopping_what_has_ended_is_no_error(tmp_path: Path) -> None:
    child = Child("short", [*PYTHON, "pass"], log=tmp_path / "log")
    child.finish(10)
    child.stop(signal.SIGTERM, 5)
    assert child.exit_code() == 0


def test_program_that_does_not_exist_is_reported_by_name(tmp_path: Path) -> None:
    child = Child("ghost", [tmp_path / "ghost"], log=tmp_path / "log")
    with pytest.raises(StackError, match=r"(?s)ghost ended with exit code 1.*FileNotFoundError"):
        child.finish(10)
