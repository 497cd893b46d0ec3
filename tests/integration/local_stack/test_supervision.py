"""Starting and stopping the servers of a checkout, by its own command line."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from local_stack.lease import ServerUrls
from local_stack.stack import running_servers
from local_stack.state import StackState, read_state

COMMAND = [sys.executable, "-m", "local_stack"]


def command(data_dir: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LEADRAIL_DATA": str(data_dir), **extra}
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=90, check=False)


@contextmanager
def supervisor(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``up --servers-only`` on *data_dir*; yield when it says that it stays."""
    environment = {**os.environ, "LEADRAIL_DATA": str(data_dir), "PYTHONUNBUFFERED": "1"}
    environment.pop("DATABASE_URL", None)
    environment.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    with subprocess.Popen(
        [*COMMAND, "up", "--servers-only"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C" in line:
                    break
            assert "Ctrl-C" in said, said
            yield process
        finally:
            process.kill()


def started(data_dir: Path) -> StackState:
    state = read_state(data_dir)
    assert state is not None
    return state


def all_end(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not alive


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return every process that the supervisor started, and what those started."""
    found = psutil.Process(process.pid).children(recursive=True)
    assert len(found) > 2, "PostgreSQL, its workers and Kafka"
    return found


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """Yield a data folder that nobody but us can enter, as a checkout below a home folder is."""
    tmp_path.chmod(0o700)
    yield tmp_path / "data"
    cleaned = command(tmp_path / "data", "clean")
    assert cleaned.returncode == 0, cleaned.stderr


def test_killed_supervisor_leaves_no_process_behind_and_the_next_start_keeps_the_data(data_dir: Path) -> None:
    with supervisor(data_dir) as first:
        before = started(data_dir)
        processes = family(first)
        first.kill()
    assert all_end(processes)
    assert read_state(data_dir) is None
    with supervisor(data_dir) as second:
        after = started(data_dir)
        assert after.database_url == before.database_url
        assert after.kafka_bootstrap_servers == before.kafka_bootstrap_servers
        refused = command(data_dir, "up")
        assert refused.returncode == 1
        assert f"already running (pid {second.pid})" in refused.stderr
        assert "Traceback" not in refused.stderr
        processes = family(second)
        stopped = command(data_dir, "down")
        assert stopped.returncode == 0, stopped.stderr
        assert second.wait(60) == 0
    assert all_end(processes)
    assert command(data_dir, "status").returncode == 1


def test_two_stacks_run_side_by_side_and_ctrl_c_ends_one_of_them(data_dir: Path) -> None:
    with ExitStack() as stacks:
        one = stacks.enter_context(supervisor(data_dir / "one"))
        two = stacks.enter_context(supervisor(data_dir / "two"))
        assert started(data_dir / "one").database_url != started(data_dir / "two").database_url
        of_one, of_two = family(one), family(two)
        os.killpg(one.pid, signal.SIGINT)  # what a terminal does
        assert one.wait(90) == 0
        assert all_end(of_one)
        assert all(process.is_running() for process in of_two)
        assert command(data_dir / "two", "status").returncode == 0
        command(data_dir / "two", "down")
    assert command(data_dir / "one", "clean").returncode == 0
    assert command(data_dir / "two", "clean").returncode == 0


async def test_servers_of_the_environment_win_and_are_not_stopped(
    servers: ServerUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", servers.database_url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers.kafka_bootstrap_servers)
    with running_servers(tmp_path) as used:
        assert (used.database_url, used.kafka_bootstrap_servers) == tuple(servers)
        assert used.children == []
    connection = await asyncpg.connect(servers.database_url)
    await connection.close()
