"""docs/scoring.md says what is: the shipped framework, every field of a document, and answers that were computed."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from scoring import model_schema
from scoring.backtest.request import BacktestRequest
from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.domain.evidence import KnownProfile
from scoring.domain.fields import CUSTOM_PREFIX, FIELD_NAMES
from scoring.domain.score import LineKind, ScoreResult, score_lead
from scoring.domain.standing import stand_at
from scoring.explanation.answers import answer_evidence, answer_outlook
from scoring.lead_at import LeadAt
from scoring.model_document import default_model_text, parse_model
from scoring.model_schema import EngagementPart, FitPart, ModelDocument, NegativePart, Part, SignalPart
from scoring.model_words import word_condition
from scoring.planning.request import PlanRequest
from scoring.prediction.request import TrainingRequest
from scoring.prediction.views import ApplyRequest, OffRequest
from scoring.repository import KnownAt
from scoring.views import PreviewRequest
from shared.contracts import Facts, Lead
from shared.db import Record
from shared.documents import load_yaml
from shared.http import Strict
from shared.runtime.operations import Reason
from shared.testing.builders import make_origin

TEXT = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text(encoding="utf-8")
DEFAULT = ModelDocument.model_validate(load_yaml(default_model_text()))
MODEL = parse_model(default_model_text())

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LEAD_ID = "0192f0c0-0000-7000-8000-000000000001"
ORIGIN = make_origin(
    submission_id="0192a1b0-0000-7000-8000-00000000000a",
    record_id="0192a1b0-0000-7000-8000-00000000000b",
    received_at=NOW - timedelta(days=14),
)
LEAD = Lead(title="Marketing Manager", company="Acme GmbH", employees=120, industry="software")
FACTS = Facts(seniority="manager", department="marketing", email_kind="business", company_domain="acme.example")
HISTORY = [
    Activity(
        activity_id=f"visit-{number}",
        kind="website_visit",
        occurred_at=NOW - timedelta(days=14),
        known_at=NOW - timedelta(days=14),
    )
    for number in range(5)
]


def part_of(heading: str) -> str:
    """Return the text from *heading* to the next of its level."""
    start = TEXT.index(f"\n## {heading}\n")
    end = TEXT.find("\n## ", start + 1)
    return TEXT[start : end if end > 0 else None]


def example_after(words: str) -> Any:
    """Return the first JSON block behind *words*."""
    match = re.compile(r"```json\n(.*?)```", re.DOTALL).search(TEXT, TEXT.index(words))
    assert match is not None
    return json.loads(match[1])


def documents() -> list[str]:
    """Return every YAML block that is a whole document."""
    return [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if block.startswith("name:")]


def signal_rows(half: str, name: str, group: EngagementPart) -> list[str]:
    return [f"| {half} | `{name}` | 0..{group.cap:g} | {_signal(each)} |" for each in group.signals]


def framework_rows() -> list[str]:
    """Return the rows of the table of the shipped framework."""
    rows = []
    for name, fit in DEFAULT.fit.items():
        rows += [_rule_row("fit", name, fit, index) for index in range(len(fit.rules))]
    for name, engagement in DEFAULT.engagement.items():
        rows += signal_rows("engagement", name, engagement)
    for name, negative in DEFAULT.negative.items():
        rows += [_rule_row("negative", name, negative, index) for index in range(len(negative.rules))]
        for signal in negative.signals:
            limits = f"| negative | `{name}` | {negative.floor:g}..0 |"
            rows.append(f"{limits} `{signal.id}` | {signal.points:g} | each `{signal.activity}` |")
    return rows


def _rule_row(half: str, name: str, group: FitPart | NegativePart, index: int) -> str:
    rule = group.rules[index]
    limits = f"0..{group.cap:g}" if isinstance(group, FitPart) else f"{group.floor:g}..0"
    return f"| {half} | `{name}` | {limits} | `{rule.id}` | {rule.points:g} | {word_condition(rule.when)} |"


def _signal(part: SignalPart) -> str:
    words = f"each `{part.activity}`"
    if part.at_most is not None:
        days = "a day" if part.at_most.days == 1 else f"in {part.at_most.days} days"
        words += f", {part.at_most.times} count {days}"
    if part.half_life_days is not None:
        words += f"; halves in {part.half_life_days:g} days"
    if part.look_back_days is not None:
        words += f"; for {part.look_back_days:g} days"
    return f"`{part.id}` | {part.points:g} | {words}"


def test_the_table_of_the_framework_is_the_shipped_document() -> None:
    table = [
        line for line in part_of("The shipped framework").splitlines() if re.match(r"\| (fit|engagement|neg)", line)
    ]
    assert table == framework_rows()


def test_the_limits_of_the_framework_are_those_of_the_shipped_document() -> None:
    text = part_of("The shipped framework")
    grades, mql = DEFAULT.grades, DEFAULT.mql
    assert f"A from {grades.A:g}, B from {grades.B:g}, C from {grades.C:g}" in text
    assert f"from {mql.threshold:g} points" in text
    assert f"below {mql.threshold - mql.hysteresis:g}" in text
    assert f"halves every {DEFAULT.decay.half_life_days:g} days" in text
    assert {"A", "B", "C"} == set(mql.grades)


PARTS = [
    each
    for each in vars(model_schema).values()
    if isinstance(each, type) and issubclass(each, Part) and each is not Part
]


@pytest.mark.parametrize("name", sorted({name for part in PARTS for name in part.model_fields}))
def test_every_field_of_a_document_is_explained(name: str) -> None:
    assert f"`{name}`" in part_of("Writing a document")


@pytest.mark.parametrize("name", [*FIELD_NAMES, f"{CUSTOM_PREFIX}<field>"])
def test_every_input_of_a_condition_is_named(name: str) -> None:
    assert f"`{name}`" in part_of("Writing a document")


@pytest.mark.parametrize("kind", get_args(LineKind))
def test_every_kind_of_line_is_explained(kind: str) -> None:
    assert f"`{kind}`" in part_of("How a score explains itself")


def test_the_document_shown_is_one_that_may_go_live() -> None:
    (text,) = documents()
    groups = load_yaml(default_model_text())
    shown = load_yaml(text)
    for half in ("fit", "engagement", "negative"):
        shown[half] = {**groups[half], **shown[half]}
    assert parse_model(json.dumps(shown)).has_account


def example_score() -> ScoreResult:
    return score_lead(MODEL, LEAD, FACTS, HISTORY, NOW)


def test_the_lines_shown_are_those_of_the_score() -> None:
    line_row = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (?:`(\w+)` )?\| (−?[\d.]+) \|", re.MULTILINE)
    rows = line_row.findall(part_of("How a score explains itself"))
    result = example_score()
    assert [(*row[:3], float(row[3].replace("−", "-"))) for row in rows] == [
        (line.kind, line.group, line.source or "", line.hundredths / 100) for line in result.lines
    ]
    assert f"**{result.points / 100:g} points**" in TEXT


def example_lead() -> LeadAt:
    known = KnownAt(Profile(origin=ORIGIN, lead=LEAD, facts=FACTS), tuple(HISTORY), cast(Record, {"is_mql": False}))
    return LeadAt(NOW, "1", MODEL, known, stand_at(MODEL, LEAD, FACTS, HISTORY, NOW, was_mql=False))


def shown_outlook() -> dict[str, Any]:
    """Return the outlook as the document shows it: of the options the first."""
    outlook = answer_outlook(LEAD_ID, example_lead()).model_dump(mode="json")
    for goal in ("to_mql", "to_next_grade"):
        outlook[goal]["options"] = outlook[goal]["options"][:1]
    return outlook


def shown_evidence() -> dict[str, Any]:
    """Return the evidence as the document shows it: the first rule, its inputs, the newest activity."""
    profiles = [KnownProfile(ORIGIN.received_at + timedelta(milliseconds=120), example_lead().known.profile)]
    evidence = answer_evidence(LEAD_ID, example_lead(), profiles).model_dump(mode="json")
    evidence["rules"] = evidence["rules"][:1]
    evidence["inputs"] = evidence["inputs"][:1]
    evidence["signals"][0]["activities"] = evidence["signals"][0]["activities"][:1]
    return evidence


def test_the_outlook_shown_is_what_the_route_answers() -> None:
    assert example_after("/score/outlook") == shown_outlook()


def test_the_evidence_shown_is_what_the_route_answers() -> None:
    assert example_after("/score/evidence") == shown_evidence()


REQUESTS: dict[str, type[Strict]] = {
    "/v1/scores/preview": PreviewRequest,
    "/v1/plans": PlanRequest,
    "/v1/backtests": BacktestRequest,
    "/v1/predictions/trainings": TrainingRequest,
    "/v1/predictions/models/1/apply": ApplyRequest,
    "/v1/predictions/off": OffRequest,
    "/v1/documents/scoring_model/versions/2/apply": Reason,
    "/v1/documents/scoring_model/rollback": Reason,
}
SENT = re.findall(r"\$scoring(/v1/\S+) (?:(?!curl)[\s\S])*?-d '(\{.*?\})'", TEXT)


@pytest.mark.parametrize(("path", "body"), SENT)
def test_every_request_shown_is_one_that_its_route_takes(path: str, body: str) -> None:
    REQUESTS[path].model_validate_json(body)


def test_a_request_to_every_route_that_changes_something_is_shown() -> None:
    assert {path for path, _ in SENT} == set(REQUESTS)
