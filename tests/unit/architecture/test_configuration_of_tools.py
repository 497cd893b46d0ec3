"""The strictness of lint, types and tests is itself under test: it can only be loosened in the open."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadrail_tools.checkout import repository_root

ROOT = repository_root()
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def tool(name: str) -> dict[str, Any]:
    section: dict[str, Any] = tomllib.loads(PYPROJECT)["tool"][name]
    return section


def test_ruff_selects_every_rule() -> None:
    assert tool("ruff")["lint"]["select"] == ["ALL"]


def test_every_ignored_rule_has_its_reason_beside_it() -> None:
    lint = PYPROJECT[PYPROJECT.index("[tool.ruff.lint]") : PYPROJECT.index("[tool.ruff.lint.flake8-annotations]")]
    ignored = [line for line in lint.splitlines() if re.search(r'"[A-Z]+\d*"', line) and "select" not in line]
    assert [line for line in ignored if not re.search(r"# \S", line) and "= [" not in line] == []


def test_mypy_is_strict_and_no_source_package_is_exempt() -> None:
    relaxed = [override["module"] for override in tool("mypy")["overrides"] if "ignore_missing_imports" not in override]
    assert tool("mypy")["strict"] is True
    assert relaxed == [["tests.*"]]


def test_warnings_are_errors_and_a_hang_is_a_failure() -> None:
    options = tool("pytest")["ini_options"]
    assert options["filterwarnings"] == ["error"]
    assert options["timeout"] > 0
    assert options["xfail_strict"] is True
    assert "--import-mode=importlib" in options["addopts"]


def test_commit_hooks_fetch_nothing() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert all(hook["entry"].startswith(("uv run --no-sync ", "uv lock ")) for hook in hooks)


def run_checker(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "leadrail_tools.architecture", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "utils.py").touch()
    return tmp_path


def test_the_checker_fails_and_names_file_line_and_rule(planted: Path) -> None:
    run = run_checker(planted)
    assert run.returncode == 1
    assert "shared/utils.py:1: [telling-names]" in run.stdout


def test_the_checker_says_how_much_it_looked_at(planted: Path) -> None:
    assert re.search(r"architecture: 1 files, \d+ rules, \d+ broken", run_checker(planted).stdout)


@pytest.mark.parametrize("number", ["0001", "0002", "0003", "0004", "0005", "0006"])
def test_a_decision_record_is_half_a_page_with_situation_decision_consequences(number: str) -> None:
    (file,) = (ROOT / "docs/decisions").glob(f"{number}-*.md")
    text = file.read_text()
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Situation", "Decision", "Consequences"]
    assert len(text.split()) < 350
