"""Rule sets as versioned documents: a draft is validated, applied with a reason, and can be rolled back.

A version never changes once stored; "live" is a pointer. A decision names the version it was made with, so it can be
explained and replayed under another one.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import yaml

from shared.db import Database, Record, Sql

T = TypeVar("T")

MAX_DOCUMENT_BYTES = 512 * 1024
DEEPEST_DOCUMENT = 64  # levels of lists and mappings; the deepest valid document has about 24

# libyaml's parser, where PyYAML was built with it: ten times faster.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentInvalid(Exception):
    """The document does not describe a rule set. ``errors`` are JSON pointers into it, each with what is wrong."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__("; ".join(f"{error['pointer']}: {error['detail']}" for error in errors))
        self.errors = list(errors)


class DocumentNotFound(LookupError):
    """No such version."""


@dataclass(frozen=True, slots=True)
class LiveDocument(Generic[T]):
    """The version in force, compiled."""

    version: str
    value: T


def load_yaml(text: str) -> Any:
    """Return the parsed YAML. Errors: `DocumentInvalid`: too large, too deep, not YAML, an alias, a key twice.

    Of two equal keys YAML would keep the second, and a rule would silently be gone.
    """
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise DocumentInvalid([{"pointer": "", "detail": f"larger than {MAX_DOCUMENT_BYTES} bytes"}])
    try:
        _refuse_shape(text)
        repeated = list(_repeated_keys(yaml.compose(text, Loader=_LOADER), ""))
        if repeated:
            raise DocumentInvalid([{"pointer": pointer, "detail": "this key stands twice"} for pointer in repeated])
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders make plain values only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentInvalid([{"pointer": "", "detail": f"not YAML: {str(error)[:200]}"}]) from error


def _refuse_shape(text: str) -> None:
    """Refuse what must not be composed. Composing recurses: it takes the square of the depth, or ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        # Aliases allow documents that grow exponentially when expanded ("billion laughs").
        if isinstance(event, yaml.AliasEvent):
            raise DocumentInvalid([{"pointer": "", "detail": "YAML aliases are not allowed"}])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST_DOCUMENT:
                raise DocumentInvalid([{"pointer": "", "detail": f"nested deeper than {DEEPEST_DOCUMENT} levels"}])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _repeated_keys(node: yaml.Node | None, pointer: str) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{pointer}/{index}")
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            if name in seen:
                yield below
            seen.add(name)
            yield from _repeated_keys(value, below)


class DocumentStore(Generic[T]):
    """The versions of one kind of document, and the live one compiled in memory.

    *parse* checks a draft. *load* reads what was stored, by an earlier release perhaps, whose checks were fewer: what
    is in force must not stop a new release from starting. Default: the same.
    """

    def __init__(
        self, kind: str, parse: Callable[[str], T], default: str, load: Callable[[str], T] | None = None
    ) -> None:
        self.kind = kind
        self._parse = parse
        self._load = load or parse
        self._default = default
        self._live: LiveDocument[T] | None = None
        self._compiled: dict[str, T] = {}
        self._database: Database | None = None

    @property
    def live(self) -> LiveDocument[T]:
        """Return the version in force as this process knows it (at most a second old)."""
        if self._live is None:
            self._live = LiveDocument("1", self._parse(self._default))
        return self._live

    async def check(self, body: str) -> None:
        """Validate a draft, beside the event loop: half a megabyte takes seconds. Errors: `DocumentInvalid`."""
        await asyncio.to_thread(self._parse, body)

    async def open(self, database: Database, now: datetime) -> None:
        """Store the shipped default as version 1 if there is none yet, and load what is live."""
        self._database = database
        async with database.transaction() as sql:
            await sql.execute(
                "INSERT INTO document (kind, version, body, created_at, created_by, why)"
                " VALUES ($1, 1, $2, $3, 'leadrail', 'the shipped default') ON CONFLICT DO NOTHING",
                self.kind,
                self._default,
                now,
            )
            await sql.execute(
                "INSERT INTO live_document (kind, version, applied_at, applied_by, why)"
                " VALUES ($1, 1, $2, 'leadrail', 'the shipped default') ON CONFLICT DO NOTHING",
                self.kind,
                now,
            )
        async with database.connection() as sql:
            await self.refresh(sql)

    async def refresh(self, sql: Sql) -> None:
        """Load the live version if it is another one than this process has."""
        version = await sql.fetchval("SELECT version::text FROM live_document WHERE kind = $1", self.kind)
        if version is not None and (self._live is None or self._live.version != version):
            self._live = LiveDocument(version, await self._compile(sql, version))

    async def get(self, version: str) -> T:
        """Return a version, compiled. Errors: `DocumentNotFound`."""
        if version in self._compiled:
            return self._compiled[version]
        assert self._database is not None, "the runtime opens the store"
        async with self._database.connection() as sql:
            return await self._compile(sql, version)

    async def _compile(self, sql: Sql, version: str) -> T:
        if version not in self._compiled:
            body = await sql.fetchval(
                "SELECT body FROM document WHERE kind = $1 AND version::text = $2", self.kind, version
            )
            if body is None:
                raise DocumentNotFound(version)
            self._compiled[version] = self._load(body)
        return self._compiled[version]

    async def create(self, sql: Sql, *, body: str, now: datetime, actor: str, why: str) -> int:
        """Store a draft that has passed `check`; return its version."""
        await sql.execute("SELECT pg_advisory_xact_lock(hashtextextended('document/' || $1, 0))", self.kind)
        version: int = await sql.fetchval(
            "INSERT INTO document (kind, version, body, created_at, created_by, why)"
            " SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 FROM document WHERE kind = $1 RETURNING version",
            self.kind,
            body,
            now,
            actor,
            why,
        )
        return version

    async def apply(self, sql: Sql, *, version: int, now: datetime, actor: str, why: str) -> tuple[int, int | None]:
        """Make *version* live; return (version before, the one before that). Errors: `DocumentNotFound`."""
        await self._compile(sql, str(version))
        before = await sql.fetchrow(
            "SELECT version, previous_version FROM live_document WHERE kind = $1 FOR UPDATE", self.kind
        )
        assert before is not None
        await sql.execute(
            # Applied twice, it must not become its own predecessor: a roll back would change nothing.
            "UPDATE live_document SET version = $2, applied_at = $3, applied_by = $4, why = $5,"
            " previous_version = CASE WHEN version = $2 THEN previous_version ELSE version END WHERE kind = $1",
            self.kind,
            version,
            now,
            actor,
            why,
        )
        return before["version"], before["previous_version"]

    async def list_versions(self, sql: Sql, *, before: int | None, limit: int) -> list[Record]:
        """Return versions, newest first."""
        return await sql.fetch(
            "SELECT d.version, d.created_at, d.created_by, d.why, l.version IS NOT NULL AS is_live"
            " FROM document d LEFT JOIN live_document l ON l.kind = d.kind AND l.version = d.version"
            " WHERE d.kind = $1 AND ($2::int IS NULL OR d.version < $2) ORDER BY d.version DESC LIMIT $3",
            self.kind,
            before,
            limit,
        )

    async def find_body(self, sql: Sql, version: int) -> Record | None:
        """Return one version's row with its text."""
        return await sql.fetchrow(
            "SELECT d.*, l.version IS NOT NULL AS is_live FROM document d"
            " LEFT JOIN live_document l ON l.kind = d.kind AND l.version = d.version"
            " WHERE d.kind = $1 AND d.version = $2",
            self.kind,
            version,
        )

    async def previous_version(self, sql: Sql) -> int | None:
        """Return the version that was live before the present one, and keep both so until the transaction ends."""
        version: int | None = await sql.fetchval(
            "SELECT previous_version FROM live_document WHERE kind = $1 FOR UPDATE", self.kind
        )
        return version
