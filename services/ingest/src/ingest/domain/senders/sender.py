"""What the door needs to know of a kind of sender."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.domain.json_guard import DEFAULT_LIMITS, JsonLimits
from ingest.domain.records import Answer, Record
from ingest.domain.source import Inbound, Source
from ingest.domain.verification import Headers, Scheme

ANY_CONTENT_TYPE = "*"
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One kind of sender. All functions are pure.

    map_delivery: what a verified delivery holds; may raise `RefusedBody`.
    answer: what to say to a verified delivery instead of our ids; None = our ids.
    answer_options / answer_get: handshakes that are not submissions; None = 405.
    has_public_callers: browsers of strangers post here, so the answer names no lead and Origin is checked.
    secret_prefix: what a secret that we make for this sender starts with.
    """

    kind: str
    schemes: tuple[Scheme, ...]
    map_delivery: Callable[[Inbound], tuple[Record, ...]]
    content_types: frozenset[str] = frozenset({"application/json"})
    max_body: int = MIB
    json_limits: JsonLimits = DEFAULT_LIMITS
    answer: Callable[[Inbound], Answer | None] | None = None
    answer_options: Callable[[Source, Headers], Answer | None] | None = None
    answer_get: Callable[[Source, Headers], Answer | None] | None = None
    has_public_callers: bool = False
    secret_prefix: str = ""
    needs_secret: bool = field(default=True)
