"""Alerts fire when they should, speak of metrics that exist, and come with something to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from leadrail_tools.architecture.check import python_files
from leadrail_tools.architecture.metrics import Metric, declared_metrics
from leadrail_tools.architecture.module import Module
from leadrail_tools.checkout import repository_root
from leadrail_tools.dashboards.speed_to_lead import speed_to_lead_dashboard

ROOT = repository_root()
PROMETHEUS = ROOT / "deploy" / "prometheus"
GIVEN_BY_PROMETHEUS = {"job", "instance", "le"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


every_alert = pytest.mark.parametrize("alert", alerts(), ids=[rule["alert"] for rule in alerts()])


@cache
def promtool() -> str:
    """Return promtool's path; the script gets it where it is missing, or says in one sentence how to."""
    script = subprocess.run([ROOT / "deploy/local/promtool.sh"], capture_output=True, text=True, check=False)
    assert script.returncode == 0, script.stderr
    return f"{script.stdout.strip()}/promtool"


def run_rule_tests(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [promtool(), "test", "rules", "alerts_test.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_alerts_fire_when_they_should_and_not_before() -> None:
    run = run_rule_tests(PROMETHEUS)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        ("(leadrail_consumer_lag_seconds) > 60", "(leadrail_consumer_lag_seconds) > 6000"),
        ('absent(up{job="ingest"})', "vector(0) > 1"),
        ("max by (consumer) (leadrail_parked_keys)", "sum by (consumer) (leadrail_parked_keys)"),
        ('stage="assigned"', 'stage="first_touch"'),
    ],
)
def test_a_planted_fault_in_a_rule_fails_its_test(tmp_path: Path, rule: str, planted: str) -> None:
    text = (PROMETHEUS / "alerts.yml").read_text()
    assert rule in text
    (tmp_path / "alerts.yml").write_text(text.replace(rule, planted))
    shutil.copy(PROMETHEUS / "alerts_test.yml", tmp_path)
    assert run_rule_tests(tmp_path).returncode != 0


def test_prometheus_accepts_the_configuration() -> None:
    command = [promtool(), "check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@every_alert
def test_every_alert_is_seen_firing(alert: dict[str, Any]) -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == alert["alert"]]
    assert any(case.get("exp_alerts") for case in cases)


@every_alert
def test_every_alert_has_a_runbook_section(alert: dict[str, Any]) -> None:
    assert f"\n## {alert['alert']}\n" in (ROOT / "docs/runbooks/alerts.md").read_text()


@every_alert
def test_every_alert_says_what_it_means_and_how_bad_it_is(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description"}


def named_calls() -> set[str]:
    text = (ROOT / "docs/runbooks/alerts.md").read_text() + (PROMETHEUS / "alerts.yml").read_text()
    calls = re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/v1/[\w/{}-]+)", text)
    return {f"{method} {generalised(path)}" for method, path in calls}


def generalised(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def test_every_call_that_a_runbook_names_exists() -> None:
    files = (ROOT / "docs/openapi").glob("*.json")
    served = {
        f"{method.upper()} {generalised(path)}"
        for file in files
        for path, item in json.loads(file.read_text())["paths"].items()
        for method in item
    }
    assert named_calls() - served == set()


def test_every_setting_that_a_runbook_names_exists() -> None:
    named = set(re.findall(r"`((?:<SERVICE>|[A-Z]+)_[A-Z_]+)`", (ROOT / "docs/runbooks/alerts.md").read_text()))
    reference = (ROOT / "docs/configuration.md").read_text()
    assert {name for name in named if f"`{name}`" not in reference} == set()


# Metrics


@cache
def declared() -> dict[str, tuple[str, ...]]:
    """Return the metrics that our code declares, with their labels."""
    return {metric.name: metric.labels or () for metric in metrics_in_code() if metric.name}


def metrics_in_code() -> list[Metric]:
    files = [path for path in python_files(ROOT) if path.name == "metrics.py" and "tests" not in path.parts]
    modules = [Module(PurePosixPath(path.relative_to(ROOT)), path.read_text()) for path in files]
    return [metric for module in modules for metric in declared_metrics(module)]


def used(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that *text* names, with the labels its selector names."""
    for name, selector in re.findall(r"\b(leadrail_[a-z0-9_]+)(?:\{([^}]*)\})?", text):
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\\?[\"']", selector)
        yield re.sub(r"_(bucket|sum|count)$", "", name), set(labels)


SOURCES = {
    "alerts": (PROMETHEUS / "alerts.yml").read_text(),
    "alert tests": (PROMETHEUS / "alerts_test.yml").read_text(),
    "dashboard": speed_to_lead_dashboard(),
}
every_source = pytest.mark.parametrize("text", SOURCES.values(), ids=SOURCES.keys())


@every_source
def test_every_metric_named_exists_in_code(text: str) -> None:
    assert {name for name, _ in used(text)} - set(declared()) == set()


@every_source
def test_every_label_selected_is_one_that_the_metric_has(text: str) -> None:
    wrong = {(name, label) for name, labels in used(text) for label in labels if label not in known_labels(name)}
    assert wrong == set()


def known_labels(name: str) -> set[str]:
    return {*declared().get(name, ()), *GIVEN_BY_PROMETHEUS}


def test_a_planted_unknown_metric_is_found() -> None:
    assert dict(used('rate(leadrail_faxes_total{lead="x"}[5m])')) == {"leadrail_faxes_total": {"lead"}}


def test_metric_names_are_unique_across_services() -> None:
    names = [metric.name for metric in metrics_in_code()]
    assert len(names) == len(set(names))
