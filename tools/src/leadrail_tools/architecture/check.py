"""Apply every rule to every file."""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from leadrail_tools.architecture.conduct import (
    commits_in_runtime_only,
    kafka_in_shared_only,
    no_base_http_middleware,
    nothing_unfinished,
    only_failpoints_kill,
    print_in_command_lines_only,
    short_modules,
    telling_names,
)
from leadrail_tools.architecture.metrics import metrics_in_one_place
from leadrail_tools.architecture.module import Finding, Module
from leadrail_tools.architecture.purity import lean_contracts, one_clock, one_id_maker, pure_domain
from leadrail_tools.architecture.shape import services_of_one_shape

Rule = Callable[[Module], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    one_clock, one_id_maker, pure_domain, lean_contracts, commits_in_runtime_only, kafka_in_shared_only,
    no_base_http_middleware, print_in_command_lines_only, short_modules, telling_names, nothing_unfinished,
    metrics_in_one_place, only_failpoints_kill,
)  # fmt: skip
ROOTS = ("shared", "services", "deploy", "tools", "tests")
NOT_OURS = frozenset({".venv", ".local", "node_modules", "__pycache__", "build", "dist"})


def check_module(path: str, text: str) -> list[Finding]:
    """Return what is wrong with a Python file of that repository path and text."""
    module = Module(PurePosixPath(path), text)
    try:
        _ = module.tree
    except SyntaxError as error:
        return [Finding(path, error.lineno or 1, "syntax", str(error.msg))]
    return sorted(finding for rule in RULES for finding in rule(module))


def python_files(root: Path) -> Iterator[Path]:
    """Yield the repository's own Python files under *root*."""
    for top in ROOTS:
        for path in sorted((root / top).rglob("*.py")):
            if not NOT_OURS.intersection(path.relative_to(root).parts):
                yield path


def check_repository(root: Path) -> list[Finding]:
    """Return everything that is wrong under *root*."""
    findings = list(services_of_one_shape(root))
    for path in python_files(root):
        findings += check_module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    return sorted(findings)
