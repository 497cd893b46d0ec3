"""A Python file of the repository as the rules see it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule: where, which, and what follows from it."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"


@dataclass(frozen=True)
class Module:
    """A file by its path inside the repository (posix) and its text."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def service(self) -> str | None:
        """The service folder the file belongs to (``sla-monitor``), if it does."""
        parts = self.path.parts
        return parts[1] if len(parts) > 2 and parts[0] == "services" else None

    @cached_property
    def is_test(self) -> bool:
        return self.path.parts[0] == "tests"

    @cached_property
    def is_domain(self) -> bool:
        """Whether the file is inside the ``domain`` package of a service (``services/X/src/X/domain/…``)."""
        return self.service is not None and "domain" in self.path.parts[4:-1]

    @cached_property
    def is_contract(self) -> bool:
        return self.path.is_relative_to("shared/src/shared/contracts")

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Local name → what it was imported as: ``{"dt": "datetime", "datetime": "datetime.datetime"}``."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    found[name.asname or name.name.split(".")[0]] = (
                        name.name if name.asname else name.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for name in node.names:
                    found[name.asname or name.name] = f"{node.module}.{name.name}"
        return found

    def finding(self, node: ast.AST | int, rule: str, message: str) -> Finding:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Finding(str(self.path), line, rule, message)

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Yield each imported module's full name; ``from a import b`` yields ``a.b``, since b may be a module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((node, f"{node.module}.{name.name}") for name in node.names)

    def full_name(self, node: ast.expr) -> str | None:
        """Return the imported dotted name that *node* stands for: ``dt.datetime.now`` → ``datetime.datetime.now``."""
        rest: list[str] = []
        while isinstance(node, ast.Attribute):
            rest.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return None
        return ".".join([self.aliases[node.id], *reversed(rest)])

    def names_used(self) -> Iterator[tuple[ast.expr, str]]:
        """Yield every expression that stands for something imported, with its full name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name) and (name := self.full_name(node)):
                yield node, name
