"""Metrics are a closed list per service: one file, one prefix, labels whose values are few and never personal."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from leadrail_tools.architecture.module import Finding, Module

KINDS = frozenset({"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"})
LABELS = frozenset({
    "action", "channel", "code", "consumer", "decision", "dependency", "direction", "document", "event_type",
    "grade", "input", "jurisdiction", "kind", "method", "nature", "outcome", "partition", "policy", "pool", "reason",
    "route", "service", "source_kind", "stage", "state", "status", "team", "topic", "trigger", "version", "via",
})  # fmt: skip
"""Each of these takes a bounded set of values that comes from code or from a versioned document."""


@dataclass(frozen=True)
class Metric:
    """A metric as the source declares it."""

    node: ast.Call
    kind: str
    name: str | None
    labels: tuple[str, ...] | None


def declared_metrics(module: Module) -> Iterator[Metric]:
    """Yield the metrics that *module* makes; ``name`` or ``labels`` is None where it is not written as a literal."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        full = module.full_name(node.func)
        if not full or not full.startswith("prometheus_client.") or full.split(".")[-1] not in KINDS:
            continue
        by_name = {keyword.arg: keyword.value for keyword in node.keywords}
        name = node.args[0] if node.args else by_name.get("name")
        labels = node.args[2] if len(node.args) > 2 else by_name.get("labelnames")
        yield Metric(node, full.split(".")[-1], _text(name), () if labels is None else _texts(labels))


def metrics_in_one_place(module: Module) -> Iterator[Finding]:
    if module.is_test:
        return
    for metric in declared_metrics(module):
        if module.path.name != "metrics.py":
            yield module.finding(metric.node, "metrics", "declare metrics in metrics.py: the list is closed")
        if metric.name is None:
            yield module.finding(metric.node, "metrics", "a metric's name is a literal, so that alerts can be checked")
        else:
            yield from _naming(module, metric, metric.name)
        if metric.labels is None:
            yield module.finding(metric.node, "metrics", "labels are a literal list, so that they can be checked")
        for label in metric.labels or ():
            if label not in LABELS:
                yield module.finding(metric.node, "metrics", f"label '{label}' is not on the list of bounded labels")


def _naming(module: Module, metric: Metric, name: str) -> Iterator[Finding]:
    if not name.startswith("leadrail_"):
        yield module.finding(metric.node, "metrics", f"{name}: metrics start with leadrail_")
    if (metric.kind == "Counter") != name.endswith("_total"):
        yield module.finding(metric.node, "metrics", f"{name}: counters, and only they, end in _total")
    if name.endswith(("_ms", "_milliseconds", "_minutes", "_kb", "_percent")):
        yield module.finding(metric.node, "metrics", f"{name}: base units only (seconds, bytes, ratio)")


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _texts(node: ast.expr) -> tuple[str, ...] | None:
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    found = [_text(element) for element in node.elts]
    return None if None in found else tuple(text for text in found if text is not None)
