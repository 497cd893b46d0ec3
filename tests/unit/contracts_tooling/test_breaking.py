"""The detector finds each planted breaking change, and lets safe ones pass."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from leadrail_tools.contracts.breaking import changes_between, moves_between
from leadrail_tools.contracts.history import accepted_breaks, baselines, schemas_at
from leadrail_tools.contracts.schemas import schema_of
from shared.contracts import LeadScored

TYPE = "leadrail.lead.scored.v1"
Plant = Callable[[dict[str, Any]], object]


def schema() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "lead_id": {"type": "string"},
            "grade": {"enum": ["A", "B", "C"]},
            "points": {"type": "number"},
            "seats": {"anyOf": [{"type": "integer", "maximum": 100}, {"type": "null"}], "default": None},
            "channels": {"type": "array", "items": {"type": "string"}, "default": []},
            "lead": {"$ref": "#/$defs/Lead"},
            "detail": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
        },
        "required": ["lead_id", "grade", "points"],
        "$defs": {"Lead": {"type": "object", "properties": {"email": {"type": "string"}}, "required": []}},
    }


BREAKS: list[tuple[str, Plant]] = [
    ("/points: field removed", lambda s: s["properties"].pop("points")),
    ("/lead/email: field removed", lambda s: s["$defs"]["Lead"]["properties"].pop("email")),
    ("/lead_id: type narrowed: string", lambda s: s["properties"].update(lead_id={"type": "integer"})),
    ("/points: type narrowed: number", lambda s: s["properties"].update(points={"type": "integer"})),
    ("/seats: type narrowed: null", lambda s: s["properties"].update(seats={"type": "integer", "default": None})),
    ("/seats: type narrowed: maximum", lambda s: s["properties"]["seats"]["anyOf"][0].update(maximum=10)),
    ("/lead_id: type narrowed: format", lambda s: s["properties"]["lead_id"].update(format="uuid")),
    ("/lead_id: type narrowed: maxLength", lambda s: s["properties"]["lead_id"].update(maxLength=5)),
    ("/lead_id: enum value removed: any other value", lambda s: s["properties"].update(lead_id={"enum": ["x"]})),
    ("/channels/-: type narrowed: string", lambda s: s["properties"]["channels"].update(items={"type": "integer"})),
    ("/detail/*: type narrowed", lambda s: s["properties"]["detail"].update(additionalProperties={"type": "null"})),
    ("/grade: enum value removed: C", lambda s: s["properties"]["grade"].update(enum=["A", "B"])),
    ("/rank: new required field", lambda s: s.update(properties=s["properties"] | {"rank": {}}, required=["rank"])),
    ("/channels: field became required", lambda s: s["required"].append("channels")),
    ("/points: field became optional", lambda s: s["required"].remove("points")),
    ("/channels: default changed", lambda s: s["properties"]["channels"].update(default=["email"])),
    (": type narrowed: unknown fields", lambda s: s.update(additionalProperties=False)),
]  # fmt: skip

SAFE: list[tuple[str, Plant]] = [
    ("the same", lambda s: s),
    ("a new optional field", lambda s: s["properties"].update(rank={"type": "integer", "default": 0})),
    ("another description", lambda s: s["properties"]["lead_id"].update(description="whose")),
    ("another order of fields", lambda s: s.update(properties=dict(reversed(s["properties"].items())))),
    ("a definition moved inline", lambda s: s["properties"].update(lead=s["$defs"]["Lead"])),
]

WIDENINGS: list[Plant] = [
    lambda s: s["properties"]["grade"]["enum"].append("D"),
    lambda s: s["properties"].update(points={"type": ["number", "null"]}),
]


def changed(plant: Plant) -> list[tuple[str, str]]:
    new = schema()
    plant(new)
    changes = changes_between({TYPE: schema()}, {TYPE: new})
    return [(change.severity, f"{change.path}: {change.what}") for change in changes]


@pytest.mark.parametrize(("finding", "plant"), BREAKS, ids=[finding for finding, _ in BREAKS])
def test_a_planted_break_is_found(finding: str, plant: Plant) -> None:
    found = changed(plant)
    assert [what for severity, what in found if severity == "breaking" and what.startswith(finding)], found


@pytest.mark.parametrize("plant", [plant for _, plant in SAFE], ids=[name for name, _ in SAFE])
def test_a_safe_change_passes(plant: Plant) -> None:
    assert changed(plant) == []


@pytest.mark.parametrize("plant", WIDENINGS)
def test_a_widening_is_a_notice_because_readers_must_go_first(plant: Plant) -> None:
    assert [severity for severity, _ in changed(plant)] == ["notice"]


def test_a_removed_event_type_is_a_break() -> None:
    (change,) = changes_between({TYPE: schema()}, {})
    assert (change.severity, change.what) == ("breaking", "event type removed")


def test_a_new_event_type_is_no_break() -> None:
    assert changes_between({}, {TYPE: schema()}) == []


def test_a_field_removed_from_a_real_event_is_found() -> None:
    new = schema_of(LeadScored)
    del new["$defs"]["Score"]["properties"]["grade"]
    changes = changes_between({TYPE: schema_of(LeadScored)}, {TYPE: new})
    assert "leadrail.lead.scored.v1: /score/grade: field removed" in map(str, changes)


def test_a_literal_that_lost_a_value_is_found_in_schemas_made_by_msgspec() -> None:
    class Before(msgspec.Struct):
        state: Literal["given", "withdrawn"]

    class After(msgspec.Struct):
        state: Literal["given"]

    before, after = ({"x": msgspec.json.schema(model)} for model in (Before, After))
    assert "enum value removed: withdrawn" in [change.what for change in changes_between(before, after)]


def asyncapi(topic: str = "leads.scored", partitions: int = 6) -> dict[str, Any]:
    bindings = {"kafka": {"partitions": partitions}}
    return {
        "channels": {topic: {"messages": {"LeadScored": {}}, "bindings": bindings}},
        "components": {"messages": {"LeadScored": {"name": TYPE}}},
    }


@pytest.mark.parametrize(
    ("after", "finding"),
    [
        (asyncapi(topic="leads.graded"), "moved from leads.scored to leads.graded"),
        (asyncapi(partitions=12), "partitions changed from 6 to 12"),
    ],
)
def test_an_event_that_is_sent_elsewhere_is_a_break(after: dict[str, Any], finding: str) -> None:
    (change,) = moves_between(asyncapi(), after)
    assert change.severity == "breaking"
    assert change.what.startswith(finding)


def test_events_that_stay_where_they_were_are_no_break() -> None:
    assert moves_between(asyncapi(), asyncapi()) == []
    assert moves_between({}, asyncapi()) == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one committed schema."""
    folder = tmp_path / "shared/contracts" / TYPE
    folder.mkdir(parents=True)
    (folder / "schema.json").write_text(json.dumps(schema()))
    settings = ("user.name=t", "user.email=t@example.com", "commit.gpgsign=false", "core.hooksPath=/dev/null")
    who = [word for setting in settings for word in ("-c", setting)]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "1"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    return tmp_path


def test_schemas_are_read_as_committed_not_as_they_lie_there(repository: Path) -> None:
    (repository / "shared/contracts" / TYPE / "schema.json").write_text("{}")
    assert schemas_at(repository, "HEAD") == {TYPE: schema()}


def test_the_first_commit_is_compared_with_itself_only(repository: Path) -> None:
    assert list(baselines(repository)) == ["HEAD"]


def test_an_accepted_break_needs_a_reason(repository: Path) -> None:
    file = repository / "shared/contracts/accepted-breaks.yaml"
    file.write_text("accepted:\n  - change: 'x: /y: field removed'\n    why: ''\n")
    with pytest.raises(ValueError, match="has no reason"):
        accepted_breaks(repository)


def test_a_break_accepted_with_a_reason_is_known_by_its_text(repository: Path) -> None:
    file = repository / "shared/contracts/accepted-breaks.yaml"
    file.write_text("accepted:\n  - change: 'x: /y: field removed'\n    why: never released\n")
    assert accepted_breaks(repository) == {"x: /y: field removed"}
