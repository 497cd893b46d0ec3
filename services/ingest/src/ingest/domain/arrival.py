"""What the planner is given and what it returns: arrivals, what is known, and the rows to write."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from ingest.domain.records import Nature, Record, State
from shared.contracts import Event

IdentityKind = Literal["email", "phone", "external"]
IdentityKey = tuple[IdentityKind, str]


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """A record with the ids it gets if it is accepted, and the folded keys of its person.

    ordinal: its place among the records of the delivery. fresh_lead_id: the lead's id if nobody knows the person.
    """

    record_id: str
    fresh_lead_id: str
    ordinal: int
    record: Record
    email: str | None = None
    phone: str | None = None
    external: str | None = None


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request to accept, or one quarantined submission mapped again (``replaced``: the records it is about).

    fingerprint: digest of the body, only where there is an idempotency key. headers: JSON object, allow-listed.
    """

    submission_id: str
    source_key: str
    source_kind: str
    received_at: datetime
    records: tuple[Numbered, ...]
    body: bytes = b""
    headers: str = "{}"
    idempotency_key: str | None = None
    fingerprint: bytes = b""
    has_gpc: bool = False
    replaced: frozenset[str] = frozenset()
    traceparent: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one record."""

    record_id: str
    nature: Nature
    lead_id: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one arrival.

    verdict: ``conflict`` the idempotency key came before with another body; ``lead_unknown`` the activity names a lead
    that does not exist; ``not_quarantined`` somebody replayed it before.
    """

    verdict: Literal["accepted", "duplicate", "conflict", "lead_unknown", "not_quarantined"]
    submission_id: str
    results: tuple[Result, ...] = ()


class KnownIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Whose key it is. ``has_email``: that lead's e-mail is known, so a phone alone may no longer claim it."""

    lead_id: str
    has_email: bool


class KnownDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What an earlier delivery with the same key led to."""

    submission_id: str
    fingerprint: bytes
    results: tuple[Result, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knew of the batch's keys."""

    identities: Mapping[IdentityKey, KnownIdentity] = {}
    deliveries: Mapping[tuple[str, str], KnownDelivery] = {}
    lead_ids: frozenset[str] = frozenset()
    quarantined_ids: frozenset[str] = frozenset()


class RecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record to insert, or, if it is being replayed, to change."""

    record_id: str
    submission_id: str
    ordinal: int
    source_key: str
    nature: Nature
    state: State
    reason: str | None
    lead_id: str | None
    received_at: datetime


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key to remember, so that the same delivery is recognised when it comes again."""

    source_key: str
    key: str
    submission_id: str
    fingerprint: bytes
    record_ids: tuple[str, ...]


class Plan(msgspec.Struct, kw_only=True):
    """Everything to write, in one transaction, and to answer once it is committed.

    claimed_lead_ids: leads that were known without an e-mail and have one now. deltas: ledger counters. counts: records
    by (source kind, nature). events: with the trace each belongs to.
    """

    outcomes: list[Outcome] = []
    submissions: list[tuple[Arrival, tuple[str, ...]]] = []
    records: list[RecordRow] = []
    identities: dict[IdentityKey, KnownIdentity] = {}
    claimed_lead_ids: set[str] = set()
    deliveries: list[DeliveryRow] = []
    events: list[tuple[Event, str]] = []
    deltas: Counter[str] = msgspec.field(default_factory=Counter)
    counts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
