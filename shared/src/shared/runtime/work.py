"""What a handler gets: its batch, its repository, the instant, and a way to emit. Nothing else."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from shared.clock import format_instant
from shared.contracts import Event, encode_event
from shared.ids import new_id
from shared.kafka import Outgoing

E = TypeVar("E", bound=Event)
R = TypeVar("R")

MAX_EVENT_BYTES = 800_000  # a broker's default limit is 1 MiB for the record with its headers


class EventTooLarge(ValueError):
    """Refused while it is only its own lead's problem: once committed, it would block every event behind it."""


class Retryable(Exception):
    """Something outside is away. The consumer pauses for *delay* and tries the same batch again; nothing is parked."""

    def __init__(self, delay: timedelta = timedelta(seconds=1), *, reason: str) -> None:
        super().__init__(reason)
        self.delay = delay
        self.reason = reason


class Received(msgspec.Struct, Generic[E], frozen=True):
    """One event of a batch with its envelope. ``time`` is when its producer emitted it."""

    event: E
    id: str
    key: str
    time: datetime
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer whose instant has come."""

    kind: str
    key: str
    due_at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to which subject, before and after, and why."""

    actor: str
    action: str
    subject: str
    before: Any
    after: Any
    why: str | None


@dataclass(slots=True)
class Effects:
    """What a unit of work wants to happen besides its own writes; saved in the same transaction."""

    emitted_by_cause: dict[str, list[Outgoing]] = field(default_factory=dict)
    emitted: list[Outgoing] = field(default_factory=list)
    timers: dict[tuple[str, str], tuple[datetime, bytes]] = field(default_factory=dict)
    cancelled_timers: set[tuple[str, str]] = field(default_factory=set)
    audits: list[AuditRow] = field(default_factory=list)


class UnitOfWork(Generic[R]):
    """One transaction's worth of work. ``now`` is one instant for all of it; ``repo`` reads and writes."""

    __slots__ = ("_effects", "_now_text", "now", "repo", "traceparent")

    def __init__(self, repo: R, now: datetime, effects: Effects, traceparent: str = "") -> None:
        self.repo = repo
        self.now = now
        self.traceparent = traceparent
        self._effects = effects
        self._now_text = format_instant(now)

    def emit(self, event: Event, cause: Received[Any] | None = None) -> str:
        """Publish *event* if and only if the surrounding transaction commits; return its id.

        At least once, ordered per key. ``cause`` is the received event that made it: a redelivery of the cause
        publishes the very same event again instead of deciding anew.
        """
        payload = encode_event(event)
        if len(payload) > MAX_EVENT_BYTES:
            message = f"{event.type} has {len(payload)} bytes, more than the {MAX_EVENT_BYTES} a broker surely takes"
            raise EventTooLarge(message)
        outgoing = Outgoing(
            id=new_id(),
            type=event.type,
            topic=event.topic,
            key=event.lead_id,
            time=self._now_text,
            payload=payload,
            traceparent=cause.traceparent if cause is not None else self.traceparent,
        )
        if cause is None:
            self._effects.emitted.append(outgoing)
        else:
            self._effects.emitted_by_cause.setdefault(cause.id, []).append(outgoing)
        return outgoing.id

    def set_timer(self, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any]) -> None:
        """Have the *kind* handler called at ``due_at``. One timer per (kind, key): setting it again moves it."""
        self._effects.cancelled_timers.discard((kind, key))
        self._effects.timers[kind, key] = (due_at, msgspec.json.encode(payload))

    def cancel_timer(self, kind: str, key: str) -> None:
        """Forget the timer, if there is one."""
        self._effects.timers.pop((kind, key), None)
        self._effects.cancelled_timers.add((kind, key))

    def audit(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        before: Any = None,
        after: Any = None,
        why: str | None = None,
    ) -> None:
        """Write an audit row in this transaction. No personal data in *before* and *after*: ids and settings."""
        self._effects.audits.append(AuditRow(actor, action, subject, before, after, why))


Handler = Callable[[UnitOfWork[R], Sequence[Received[Any]]], Awaitable[None]]
Handlers = Mapping[type[Event], Handler[R]]
TimerHandler = Callable[[UnitOfWork[R], Sequence[DueTimer]], Awaitable[None]]
TimerHandlers = Mapping[str, TimerHandler[R]]


@dataclass(frozen=True, slots=True)
class Consumer(Generic[R]):
    """A consumer group and its handlers. Topics follow from the events.

    ``wanted``: per event type, which events concern this consumer at all, by a pure look at the event. The others are
    passed over without a trace; at three clock changes per lead that saves three inbox rows.
    ``rest``: shortest pause between batches, for a consumer that no lead waits for: a batch of one costs 1 ms of CPU.
    """

    name: str
    handlers: Handlers[R]
    wanted: Mapping[type[Event], Callable[[Any], bool]] = field(default_factory=dict)
    rest: timedelta = timedelta(0)

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics to subscribe to."""
        return tuple(sorted({event.topic for event in self.handlers}))
