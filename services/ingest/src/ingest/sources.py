"""The sources in memory: every request needs one, and none may wait for the database to find it."""

import asyncio
from datetime import datetime

import structlog

from ingest.domain.source import Source
from ingest.repository import IngestRepository
from ingest.repository_sources import StoredSource
from shared.runtime import Retryable, Runtime
from shared.runtime.failures import is_dependency_failure
from shared.secret_box import SealBroken, SecretBox
from shared.waiting import until_set

log = structlog.get_logger(module=__name__)

REFRESH_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.1  # at most ten looks a second for keys nobody knows, however many are tried


class SourceDirectory:
    """All sources by key, at most a second old. A key that is not found is looked up once more before it is unknown."""

    def __init__(self, runtime: Runtime[IngestRepository]) -> None:
        self._runtime = runtime
        self._stored: list[StoredSource] = []
        self._sources: dict[str, Source] = {}
        self._fingerprint: tuple[int, int] | None = None
        self._looked_at = float("-inf")
        self._is_blind = True
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()

    async def find(self, key: str) -> Source | None:
        """Return the source, or None if there is none.

        Errors: those of a database that is away, for a key that is not in memory: a source made a moment ago must not
        look as if it did not exist, because some senders never come back after that.
        """
        source = self._sources.get(key)
        if source is not None:
            return source
        await self._look_again()
        return self._sources.get(key)

    async def refresh(self) -> None:
        """Load the sources if any of them changed, or a secret expired."""
        async with self._lock, self._runtime.read() as repo:
            await self._load(repo)

    async def run(self) -> None:
        """Refresh each second until `drain`."""
        while not self._stopping.is_set():
            await until_set(self._stopping, REFRESH_SECONDS)
            try:
                await self.refresh()
            except Exception as error:
                if not is_dependency_failure(error):
                    raise

    async def drain(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    async def _look_again(self) -> None:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at < LOOK_AGAIN_SECONDS:
                if self._is_blind:
                    raise Retryable(reason="sources_cannot_be_read")
                return
            self._looked_at, self._is_blind = now, True
            async with self._runtime.read() as repo:
                await self._load(repo)
            self._is_blind = False

    async def _load(self, repo: IngestRepository) -> None:
        fingerprint = await repo.sources.fingerprint()
        if fingerprint != self._fingerprint:
            self._stored = await repo.sources.load_all()
            self._fingerprint = fingerprint
        now = self._runtime.clock.now()
        self._sources = {stored.key: open_source(stored, self._runtime.secrets, now) for stored in self._stored}


def open_source(stored: StoredSource, box: SecretBox, now: datetime) -> Source:
    """Return the source as the door needs it: secrets open, newest first, expired ones left out."""
    secrets = []
    for secret in sorted(stored.secrets, key=lambda secret: secret.created_at, reverse=True):
        if secret.expires_at is None or secret.expires_at > now:
            try:
                secrets.append(box.open(secret.sealed))
            except SealBroken:  # LEADRAIL_SECRET_KEY changed: this source rejects everything until a secret is set anew
                log.error(  # noqa: TRY400 - a stack says nothing more
                    "secret_unreadable", source_kind=stored.kind, secret_id=secret.secret_id
                )
    return Source(
        key=stored.key,
        kind=stored.kind,
        name=stored.name,
        secrets=tuple(secrets),
        defaults=stored.defaults,
        field_mapping=stored.field_mapping,
        allowed_origins=frozenset(stored.allowed_origins),
        honeypot_field=stored.honeypot_field,
        is_suspended=stored.is_suspended,
        revision=stored.revision,
    )
