"""The commands a newcomer types first."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from local_stack.checkout import ROOT


def run(*words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env={**os.environ, **extra}, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_is_the_default_and_lists_every_target_with_what_it_does() -> None:
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    listed = run("make", "--no-print-directory")
    assert listed.returncode == 0
    assert set(re.findall(r"^ {2}make ([a-z-]+) +\S", listed.stdout, re.MULTILINE)) == targets
    assert {"demo", "test", "up", "down", "status", "clean", "check", "bench"} <= targets


@pytest.mark.parametrize("python", ["/bin/false", "no-such-python"])
def test_python_that_is_too_old_or_absent_is_named_in_one_sentence(python: str) -> None:
    failed = run(ROOT / "deploy" / "local" / "bootstrap.sh", PYTHON=python)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"leadrail: PYTHON is '{python}', which is not Python 3.11 or newer")
    assert failed.stderr.count("\n") == 1


def test_checkout_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    script = checkout / "deploy" / "local" / "bootstrap.sh"
    for folder in ("shared", "services/ingest", "deploy/local", "tools", ".venv/bin"):
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "pyproject.toml").touch()
    (checkout / "uv.lock").touch()
    (checkout / "pyproject.toml").touch()
    script.write_bytes((ROOT / "deploy" / "local" / "bootstrap.sh").read_bytes())
    script.chmod(0o755)
    # A uv that only tells that it was called: the first run calls it, the second must not.
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "uv").write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo called >>{tmp_path}/calls\n', "utf-8")
    (tools / "uv").chmod(0o755)
    (checkout / ".venv" / "bin" / "python").symlink_to(ROOT / ".venv" / "bin" / "python")
    path = f"{tools}:{os.environ['PATH']}"
    for _ in range(2):
        done = run(script, PATH=path, LEADRAIL_CACHE=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "calls").read_text("utf-8").split() == ["called"]
    (checkout / "uv.lock").write_text("a new dependency", "utf-8")
    assert run(script, PATH=path, LEADRAIL_CACHE=str(tmp_path / "cache")).returncode == 0
    assert (tmp_path / "calls").read_text("utf-8").split() == ["called", "called"]
