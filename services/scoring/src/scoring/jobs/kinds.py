"""What a kind of job is, and what it gets to do its work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from scoring.domain.model import ScoringModel
from shared.clock import Clock, SystemClock
from shared.db import Database
from shared.documents import DocumentStore
from shared.http import Strict

Q = TypeVar("Q", bound=Strict)

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class JobRefused(Exception):
    """The job cannot be done, and why, as a sentence for the person who asked for it."""


class JobCancelled(Exception):
    """Somebody cancelled the job, or it was given to another process: stop here. It gets no result.

    What it has committed stays: of the kinds there are, only a ranking commits before its end.
    """


async def _tell_nobody(_done: int, _total: int) -> None:
    """Of a job that runs without a row."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job works with. ``now`` is the instant it was asked at: the same when it has to be run again. ``clock``
    tells when something is really done."""

    database: Database
    models: DocumentStore[ScoringModel]
    now: datetime
    job_id: str
    tell: Callable[[int, int], Awaitable[None]] = _tell_nobody
    clock: Clock = field(default_factory=SystemClock)

    async def report(self, done: int, total: int) -> None:
        """Say that *done* of *total* is done; as often as you like. Errors: `JobCancelled`."""
        await self.tell(done, total)


@dataclass(frozen=True, slots=True)
class JobKind(Generic[Q]):
    """A kind of long work.

    ``run`` returns the result, as JSON can hold it, or raises `JobRefused`. It runs in a process of its own, may be
    killed at any point and then runs again from the start: it reads facts, and what it writes must be safe to repeat.
    """

    name: str
    request: type[Q]
    run: Callable[[JobContext, Q], Awaitable[dict[str, Any]]]
