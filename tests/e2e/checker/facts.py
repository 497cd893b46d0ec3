"""What a verdict looks at: rows of the services' tables, records of the topics, what was sent and what came back."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

Row = dict[str, Any]
NAMED = 4


class Promise(NamedTuple):
    """One record of a 2xx. ``lead_id``: None where the sender is a stranger, who is not told.

    ``digest``: SHA-256 (hex) of the body that was sent; empty if whoever sent it did not keep it.
    """

    record_id: str
    submission_id: str
    kind: str
    nature: str
    lead_id: str | None
    email: str
    digest: str = ""


class Attempt(NamedTuple):
    """One request that was sent. ``status``: 0 if no answer came. The ids are those that a 2xx named."""

    kind: str
    digest: str
    status: int
    submission_id: str = ""
    record_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    type: str
    raw: bytes
    headers: tuple[tuple[str, bytes], ...]

    @cached_property
    def body(self) -> dict[str, Any]:
        """The payload; empty if nobody can read it."""
        try:
            body = json.loads(self.raw)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @cached_property
    def digest(self) -> str:
        return sha256(self.raw).hexdigest()

    @property
    def record_id(self) -> str:
        """The submission record that the event goes back to; empty if it names none."""
        origin = self.body.get("origin")
        return str(origin["record_id"]) if origin else ""


class Emitted(NamedTuple):
    """One event that a consumer says it caused, as it must be on its topic."""

    topic: str
    key: str
    id: str
    type: str
    digest: str


class Handled(NamedTuple):
    """A consumer's proof that it handled an event. ``at``: when the transaction began, by the database's clock."""

    consumer: str
    event_id: str
    at: Any
    emitted: tuple[Emitted, ...] = ()


class Refused(NamedTuple):
    """A record that a consumer could not decode, and where it is."""

    consumer: str
    topic: str
    partition: int
    offset: int


@dataclass
class Evidence:
    """Everything that a verdict looks at. Decisions are in the order in which they were made."""

    records: list[Row]
    counters: dict[str, int]
    assignments: list[Row]
    sent: list[Row]
    clocks: list[Row]
    received: list[dict[str, Any]]
    events: list[Seen] = field(default_factory=list)
    submissions: list[Row] = field(default_factory=list)
    scores: list[Row] = field(default_factory=list)
    activities: list[Row] = field(default_factory=list)
    statements: list[Row] = field(default_factory=list)
    verdicts: list[Row] = field(default_factory=list)
    suppressed: list[Row] = field(default_factory=list)
    routings: list[Row] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    parked: list[tuple[str, str, str]] = field(default_factory=list)
    """(consumer, lead, event)"""
    undecodable: list[Refused] = field(default_factory=list)
    unpublished: dict[str, int] = field(default_factory=dict)
    """Rows in each service's outbox."""
    documents: dict[tuple[str, str], str] = field(default_factory=dict)
    """Text of each version of each rule set, by (kind, version)."""

    def firsts(self) -> list[Seen]:
        """Return each event once, where it first stands, in order of topic, partition and offset."""
        known: dict[str, Seen] = {}
        for event in self.events:
            known.setdefault(event.id, event)
        return list(known.values())

    def emitted_by(self) -> dict[tuple[str, str], tuple[Emitted, ...]]:
        """Return what each consumer says that each event caused, by (consumer, event)."""
        return {(one.consumer, one.event_id): one.emitted for one in self.handled}


def some(what: str, ids: Iterable[str]) -> Iterator[str]:
    """Yield one sentence that counts *ids* and names a few, if there are any."""
    found = sorted(ids)
    if found:
        yield f"{len(found)} {what}, such as {', '.join(found[:NAMED])}"


def by_lead(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return *rows* of each lead, in their order."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["lead_id"]].append(row)
    return grouped
