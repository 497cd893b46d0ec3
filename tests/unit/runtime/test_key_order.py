"""A batch is handed out in few groups, and never out of a lead's order."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts import LeadEnriched, LeadParked, LeadReleased
from shared.runtime import Received
from shared.runtime.processing import in_key_order
from shared.testing.builders import NOON, make_enriched

EVENTS = (
    make_enriched("lead"),
    LeadParked(lead_id="lead", consumer="c", parked_event_id="e", error="ValueError"),
    LeadReleased(lead_id="lead", consumer="c", outcome="retried"),
)


def received(position: int, kind: int, key: str) -> Received[Any]:
    return Received(EVENTS[kind], f"{position}", key, NOON)


batches = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "c"])), max_size=30).map(
    lambda rows: [received(position, kind, key) for position, (kind, key) in enumerate(rows)]
)


@settings(max_examples=100)
@given(batches)
def test_every_lead_sees_its_events_in_the_order_of_arrival(batch: list[Received[Any]]) -> None:
    handed_out = [item for _, group in in_key_order(batch) for item in group]
    for key in ("a", "b", "c"):
        assert [item for item in handed_out if item.key == key] == [item for item in batch if item.key == key]


@settings(max_examples=100)
@given(batches)
def test_every_event_is_handed_out_once_to_the_handler_of_its_type(batch: list[Received[Any]]) -> None:
    groups = in_key_order(batch)
    assert sorted(int(item.id) for _, group in groups for item in group) == list(range(len(batch)))
    assert all(type(item.event) is event_type for event_type, group in groups for item in group)


def test_events_of_different_leads_and_one_type_are_one_group() -> None:
    groups = in_key_order([received(0, 0, "a"), received(1, 1, "b"), received(2, 0, "c")])
    assert [(event_type, len(group)) for event_type, group in groups] == [(LeadEnriched, 2), (LeadParked, 1)]
