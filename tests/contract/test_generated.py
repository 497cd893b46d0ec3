"""What is committed is what the sources generate, and the check says so when it is not."""

import json
from pathlib import Path

import pytest

from leadrail_tools.checkout import repository_root
from leadrail_tools.contracts import __main__ as tool
from leadrail_tools.contracts.documents import generated_documents
from leadrail_tools.contracts.services import settings_class

ROOT = repository_root()


def test_the_committed_documents_are_current() -> None:
    assert [path for path, text in generated_documents().items() if not is_current(path, text)] == []


def is_current(path: str, text: str) -> bool:
    return (ROOT / path).is_file() and (ROOT / path).read_text() == text


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path, text in generated_documents().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, copy: Path, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["contracts", "--root", str(copy), *arguments])
    return tool.main()


def test_an_unchanged_copy_passes(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, copy, "--check") == 0


def test_an_edited_document_fails_and_is_named(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "docs/configuration.md").write_text("by hand")
    assert run(monkeypatch, copy, "--check") == 1
    assert "docs/configuration.md: differs" in capsys.readouterr().out


def test_a_missing_document_fails(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "docs/openapi/scoring.json").unlink()
    assert run(monkeypatch, copy, "--check") == 1


def test_a_left_over_schema_fails_and_writing_removes_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = copy / "shared/contracts/leadrail.lead.faxed.v1/schema.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    assert run(monkeypatch, copy, "--check") == 1
    assert run(monkeypatch, copy) == 0
    assert not stale.exists()


def test_generating_twice_gives_the_same_bytes() -> None:
    assert generated_documents() == generated_documents()


def test_the_environment_of_this_machine_is_not_in_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    before = generated_documents()
    monkeypatch.setenv("SCORING_PORT", "4711")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "elsewhere:9092")
    assert generated_documents() == before


def test_the_configuration_reference_names_a_settings_variable() -> None:
    prefix = settings_class("scoring").model_config["env_prefix"]
    assert f"`{prefix}PORT`" in (ROOT / "docs/configuration.md").read_text()


def test_the_dashboards_panels_have_unique_ids_and_a_query_or_a_row() -> None:
    board = json.loads((ROOT / "deploy/grafana/dashboards/speed-to-lead.json").read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["type"] == "row" or panel["targets"] for panel in board["panels"])
