"""A batch is handed out in few groups, and never out of a lead's order."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import LeadEnriched, LeadParked, LeadReleased
from shared.runtime import Handlers, Received
from shared.runtime.processing import in_key_order
from shared.testing.builders import NOON, make_enriched

EVENTS = (
    make_enriched("lead"),
    LeadParked(lead_id="lead", consumer="c", parked_event_id="e", error="ValueError"),
    LeadReleased(lead_id="lead", consumer="c", outcome="retried"),
)


async def on_enriched(work: Any, batch: Sequence[Received[Any]]) -> None: ...


async def on_parking(work: Any, batch: Sequence[Received[Any]]) -> None: ...


HANDLERS: Handlers[Any] = {LeadEnriched: on_enriched, LeadParked: on_parking, LeadReleased: on_parking}


def received(position: int, kind: int, key: str) -> Received[Any]:
    return Received(EVENTS[kind], f"{position}", key, NOON)


batches = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "c"])), max_size=30).map(
    lambda rows: [received(position, kind, key) for position, (kind, key) in enumerate(rows)]
)


@settings(max_examples=100)
@given(batches)
def test_every_lead_sees_its_events_in_the_order_of_arrival(batch: list[Received[Any]]) -> None:
    handed_out = [item for _, group in in_key_order(batch, HANDLERS) for item in group]
    for key in ("a", "b", "c"):
        assert [item for item in handed_out if item.key == key] == [item for item in batch if item.key == key]


@settings(max_examples=100)
@given(batches)
def test_every_event_is_handed_out_once_to_its_handler(batch: list[Received[Any]]) -> None:
    groups = in_key_order(batch, HANDLERS)
    assert sorted(int(item.id) for _, group in groups for item in group) == list(range(len(batch)))
    assert all(HANDLERS[type(item.event)] is handler for handler, group in groups for item in group)


def test_events_of_different_leads_and_one_handler_are_one_group() -> None:
    batch = [received(0, 0, "a"), received(1, 1, "b"), received(2, 0, "c"), received(3, 2, "d")]
    groups = in_key_order(batch, HANDLERS)
    assert [(handler, len(group)) for handler, group in groups] == [(on_enriched, 2), (on_parking, 2)]
