"""What code may do where, how long a module may be, and what it may be called."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from leadrail_tools.architecture.module import Finding, Module

MAX_LINES = 400
NAMES_THAT_HOLD_ANYTHING = frozenset({
    "base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
})  # fmt: skip
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b")
SKIPS = frozenset({"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail", "pytest.xfail"})
MAY_COMMIT = ("shared/src/shared/runtime/", "shared/src/shared/migrations.py")  # a migration emits no event
COMMAND_LINES = ("deploy/local/", "tools/")
FAILPOINTS = "shared/src/shared/failpoints.py"
WAYS_TO_DIE = frozenset({
    "os.kill", "os.killpg", "os.abort", "os._exit", "signal.raise_signal", "signal.SIGKILL", "signal.SIGSTOP",
})  # fmt: skip


def commits_in_runtime_only(module: Module) -> Iterator[Finding]:
    """Find commits beside the runtime's: state changes whose events nobody would publish."""
    if module.is_test or str(module.path).startswith(MAY_COMMIT):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield module.finding(node, "one-commit", "only shared.runtime commits: this one's events would be lost")


def kafka_in_shared_only(module: Module) -> Iterator[Finding]:
    """Find services with a producer of their own: it could publish what the transaction then rolls back."""
    if module.service is None:
        return
    for node, name in module.imports():
        if name.split(".")[0] == "aiokafka":
            yield module.finding(node, "kafka-in-shared", "services emit through the unit of work, never to Kafka")


def no_base_http_middleware(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.endswith(".BaseHTTPMiddleware"):
            yield module.finding(node, "pure-asgi", "BaseHTTPMiddleware costs 220 µs a request: write pure ASGI")


def print_in_command_lines_only(module: Module) -> Iterator[Finding]:
    path = str(module.path)
    if path.startswith(COMMAND_LINES) or module.path.name in {"__main__.py", "cli.py"} or "cli" in module.path.parts:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield module.finding(node, "no-print", "print bypasses the log's redaction: use structlog")


def only_failpoints_kill(module: Module) -> Iterator[Finding]:
    """Find services that kill or stop processes: only a failpoint may, and only when a test has armed it."""
    if module.path.parts[0] not in {"shared", "services"} or str(module.path) == FAILPOINTS:
        return
    for node, name in module.names_used():
        if name in WAYS_TO_DIE:
            yield module.finding(node, "only-failpoints-kill", f"{name}: a service ends by draining; see {FAILPOINTS}")


def short_modules(module: Module) -> Iterator[Finding]:
    lines = module.text.count("\n") + (not module.text.endswith("\n") and bool(module.text))
    if lines > MAX_LINES:
        yield module.finding(1, "short-modules", f"{lines} lines: a module over {MAX_LINES} holds more than one thing")


def telling_names(module: Module) -> Iterator[Finding]:
    for part in (*module.path.parts[:-1], module.path.stem):
        if part.lower() in NAMES_THAT_HOLD_ANYTHING:
            yield module.finding(1, "telling-names", f"'{part}' says nothing about what is inside")


def nothing_unfinished(module: Module) -> Iterator[Finding]:
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT and UNFINISHED.search(token.string):
            yield module.finding(token.start[0], "finished", "do it or file an issue; a note in the code is neither")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Raise) and _raised_name(node) == "NotImplementedError":
            yield module.finding(node, "finished", "a stub passes every test that does not call it")
    for node, name in module.names_used():
        if name in SKIPS:
            yield module.finding(node, "finished", f"{name}: a test that does not run proves nothing")


def _raised_name(node: ast.Raise) -> str | None:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return raised.id if isinstance(raised, ast.Name) else None
