"""The import contracts of pyproject.toml refuse planted imports. Each runs on a copy of the packages' outline."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from leadrail_tools.checkout import repository_root

SERVICES = ("consent", "ingest", "routing", "scoring", "sla_monitor")


def test_the_contracts_hold() -> None:
    run = subprocess.run(
        [_lint_imports(), "--no-cache"], cwd=repository_root(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("file", "planted", "broken"),
    [
        ("scoring/handlers.py", "import routing.handlers", "Services know each other"),
        ("shared/db.py", "import scoring.domain", "shared knows no service"),
        ("ingest/api.py", "import local_stack", "Services know neither"),
        ("consent/repository.py", "import consent.api", "Inside a service"),
        ("routing/domain/shares.py", "import asyncpg", "The domain is pure"),
        ("routing/domain/shares.py", "import shared.documents", "The domain is pure"),
        ("shared/contracts/lead.py", "import pydantic", "Contracts need nothing"),
    ],
)
def test_a_planted_import_breaks_its_contract(tmp_path: Path, file: str, planted: str, broken: str) -> None:
    _outline(tmp_path)
    path = tmp_path / file
    path.write_text(planted)

    run = _lint(tmp_path)

    assert run.returncode == 1, run.stdout + run.stderr
    assert any(line.startswith(broken) for line in run.stdout.splitlines() if line.endswith("BROKEN"))


def test_the_outline_alone_keeps_every_contract(tmp_path: Path) -> None:
    _outline(tmp_path)
    run = _lint(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def _outline(folder: Path) -> None:
    """Write empty packages of the names that the contracts speak of, the contracts, and one impure shared module."""
    for service in SERVICES:
        (folder / service / "domain").mkdir(parents=True)
        (folder / service / "__init__.py").touch()
        (folder / service / "domain" / "__init__.py").touch()
        for room in ("__main__", "api", "handlers", "repository", "tables"):
            (folder / service / f"{room}.py").touch()
    for package in ("shared", "shared/contracts", "shared/runtime", "shared/testing", "local_stack", "leadrail_tools"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "shared/clock.py").touch()
    (folder / "shared/ids.py").touch()
    (folder / "shared/documents.py").write_text("import shared.clock")
    (folder / "pyproject.toml").write_text(_contracts())


def _contracts() -> str:
    """Return the ``[tool.importlinter]`` part of the repository's pyproject.toml: it is the file's last part."""
    text = (repository_root() / "pyproject.toml").read_text()
    part = text[text.index("[tool.importlinter]") :]
    assert set(tomllib.loads(part)["tool"]) == {"importlinter"}
    return part


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "250"}
    command = [_lint_imports(), "--no-cache", "--config", str(folder / "pyproject.toml")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _lint_imports() -> str:
    return str(Path(sys.executable).with_name("lint-imports"))
