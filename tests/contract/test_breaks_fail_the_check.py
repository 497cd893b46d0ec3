"""What CI runs fails on a change of a contract that breaks its readers, and names it.

The change is planted in the past: the commit before has what the sources of today lack.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadrail_tools.contracts import __main__ as tool
from leadrail_tools.contracts.documents import generated_documents

SCORED = "shared/contracts/leadrail.lead.scored.v1/schema.json"
ASYNCAPI = "shared/contracts/asyncapi.yaml"
Plant = Callable[[dict[str, Any]], object]
WHO = [word for one in ("user.name=t", "user.email=t@example.com", "commit.gpgsign=false") for word in ("-c", one)]


def score(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"]["Score"]
    return found


BREAKS: list[tuple[str, Plant]] = [
    ("/rank: field removed", lambda s: s["properties"].update(rank={"type": "integer"})),
    ("/score/grade: field became required", lambda s: score(s)["required"].remove("grade")),
    ("/score/grade: new required field", lambda s: score(s)["properties"].pop("grade")),
    ("/score/grade: type narrowed: integer", lambda s: score(s)["properties"].update(grade={"type": "integer"})),
    ("/score/grade: enum value removed: Z", lambda s: score(s)["properties"]["grade"]["enum"].append("Z")),
    ("/trace: field removed", lambda s: s.update(properties={**s["properties"], "trace": {"type": "string"}})),
]  # fmt: skip


@pytest.fixture(scope="module")
def documents() -> dict[str, str]:
    """Return what the sources of today generate; it takes seconds, so nobody may change it."""
    return generated_documents()


def committed(root: Path, documents: dict[str, str]) -> None:
    """Commit *documents* in a new repository at *root*."""
    written(root, documents)
    hooks = ["-c", "core.hooksPath=/dev/null"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*WHO, *hooks, "commit", "-q", "-m", "before"]):
        subprocess.run(["git", "-C", str(root), *command], check=True, capture_output=True)


def written(root: Path, documents: dict[str, str]) -> None:
    for path, text in documents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def check(monkeypatch: pytest.MonkeyPatch, root: Path, documents: dict[str, str]) -> int:
    monkeypatch.setattr(tool, "generated_documents", lambda: documents)  # they take a second each time
    monkeypatch.setattr("sys.argv", ["contracts", "--check", "--root", str(root)])
    return tool.main()


@pytest.mark.parametrize(("finding", "plant"), BREAKS, ids=[finding for finding, _ in BREAKS])
def test_a_break_of_an_event_fails_the_check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    documents: dict[str, str],
    finding: str,
    plant: Plant,
) -> None:
    before = json.loads(documents[SCORED])
    plant(before)
    committed(tmp_path, {**documents, SCORED: json.dumps(before)})
    written(tmp_path, documents)
    assert check(monkeypatch, tmp_path, documents) == 1
    assert f"breaking since HEAD: leadrail.lead.scored.v1: {finding}" in capsys.readouterr().out


def test_a_renamed_event_type_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], documents: dict[str, str]
) -> None:
    renamed = SCORED.replace("lead.scored", "lead.graded")
    committed(tmp_path, {**documents, renamed: documents[SCORED]})
    (tmp_path / renamed).unlink()
    assert check(monkeypatch, tmp_path, documents) == 1
    assert "breaking since HEAD: leadrail.lead.graded.v1: /: event type removed" in capsys.readouterr().out


def test_an_event_that_moved_to_another_topic_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], documents: dict[str, str]
) -> None:
    before = yaml.safe_load(documents[ASYNCAPI])
    before["channels"]["leads.graded"] = before["channels"].pop("leads.scored")
    committed(tmp_path, {**documents, ASYNCAPI: yaml.safe_dump(before)})
    written(tmp_path, documents)
    assert check(monkeypatch, tmp_path, documents) == 1
    assert "leadrail.lead.scored.v1: /: moved from leads.graded to leads.scored" in capsys.readouterr().out


def test_what_was_committed_like_this_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documents: dict[str, str]
) -> None:
    committed(tmp_path, documents)
    assert check(monkeypatch, tmp_path, documents) == 0
