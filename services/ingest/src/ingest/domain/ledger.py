"""What the ledger must add up to."""

from collections.abc import Mapping
from itertools import pairwise

import msgspec

from ingest.domain.records import LEAD_STATES, STATES
from shared.contracts import (
    Event,
    LeadAssigned,
    LeadCaptured,
    LeadCleared,
    LeadEnriched,
    LeadNurtured,
    LeadReassigned,
    LeadRetained,
    LeadScored,
    LeadUnassigned,
    LeadWithheld,
)
from shared.contracts.topics import TOPIC_BY_NAME

_STATE_BY_EVENT: dict[type[Event], str] = {
    LeadAssigned: "assigned",
    LeadReassigned: "assigned",
    LeadRetained: "assigned",
    LeadUnassigned: "unassigned",
    LeadNurtured: "nurtured",
    LeadWithheld: "withheld",
}

_WAY: tuple[type[Event], ...] = (LeadCaptured, LeadEnriched, LeadScored, LeadCleared, LeadAssigned)
ON_THE_WAY = frozenset(
    consumer
    for event, following in pairwise(_WAY)
    for consumer in TOPIC_BY_NAME[event.topic].consumers
    if consumer in TOPIC_BY_NAME[following.topic].producers
)
"""The consumers that pass a record on: what one of the others parks does not keep a record from its end."""

Terminal = LeadAssigned | LeadReassigned | LeadRetained | LeadUnassigned | LeadNurtured | LeadWithheld


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """``accepted`` = the sum of all states, or ``imbalance`` says by how much it is not."""

    accepted: int
    mapped: int
    by_state: dict[str, int]
    imbalance: int

    @property
    def is_balanced(self) -> bool:
        return self.imbalance == 0 and all(count >= 0 for count in self.by_state.values())


def balance(counters: Mapping[str, int]) -> Balance:
    """Return the balance of *counters* (state → records, and ``accepted``)."""
    by_state: dict[str, int] = {state: counters.get(state, 0) for state in STATES}
    accepted = counters.get("accepted", 0)
    return Balance(
        accepted=accepted,
        mapped=sum(by_state[state] for state in LEAD_STATES),
        by_state=by_state,
        imbalance=accepted - sum(by_state.values()),
    )


def differences(counted: Mapping[str, int], recounted: Mapping[str, int]) -> dict[str, int]:
    """Return counter → (counted − recounted) where they differ."""
    names = sorted({*counted, *recounted})
    gaps = {name: counted.get(name, 0) - recounted.get(name, 0) for name in names}
    return {name: gap for name, gap in gaps.items() if gap}


def state_after(event: Terminal) -> str:
    """Return the state that *event* puts its record in."""
    if isinstance(event, LeadUnassigned) and event.reason == "consent_withdrawn":
        return "withheld"  # not in a queue where somebody would pick it up and call
    return _STATE_BY_EVENT[type(event)]
