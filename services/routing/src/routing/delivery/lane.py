"""What the worker holds of one endpoint: its callbacks in hand, its limits, its breaker."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from routing.delivery.breaker import Breaker

PREFETCH = 100
"""Callbacks taken ahead of need from a fast endpoint: a claim costs 0.5 ms whatever it brings."""
FAST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """An active endpoint. ``keys``: every active signing secret."""

    endpoint_id: str
    url: str
    keys: tuple[bytes, ...]
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A callback in this worker's hands until ``leased_until``. ``attempt`` counts from 1."""

    callback_id: str
    endpoint_id: str
    body: bytes
    attempt: int
    due_at: datetime
    leased_until: datetime
    claimed_at: datetime
    received_at: datetime | None
    copies: int


@dataclass(slots=True)
class Lane:
    """One endpoint's queue. A lane never takes more than its own share of the worker, however slow its endpoint is."""

    config: EndpointConfig
    breaker: Breaker = field(default_factory=Breaker)
    ready: deque[Claimed] = field(default_factory=deque)
    in_flight: int = 0
    runners: int = 0
    has_more: bool = False
    """The last claim took all it asked for, or asked for nothing: when there is room here again, more may be due."""
    seconds: float = 1.0
    """Moving average of an attempt's duration. Starts slow: trust is earned."""

    def wants(self, now: datetime) -> int:
        """Return how many more callbacks to claim."""
        if not self.breaker.allows(now, self.in_flight + len(self.ready)):
            return 0
        if self.breaker.retry_at is not None:
            return 1
        most = self.config.max_concurrency
        if self.seconds < FAST_SECONDS:
            most += PREFETCH
        return max(0, most - self.in_flight - len(self.ready))

    def observe(self, seconds: float) -> None:
        """Learn from one attempt."""
        # A slow attempt counts at once, a fast one slowly: a hanging endpoint must not find a full queue behind it.
        self.seconds = seconds if seconds > self.seconds else self.seconds * 0.8 + seconds * 0.2

    def take_ready(self) -> Sequence[Claimed]:
        """Empty the queue and return what was in it."""
        taken = list(self.ready)
        self.ready.clear()
        return taken
