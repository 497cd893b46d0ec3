"""Examples are real-looking, valid and deterministic; what has no example fails instead of showing nonsense."""

from datetime import datetime
from typing import ClassVar

import msgspec
import pytest

from leadrail_tools.contracts.examples import TEXTS, NoExample, example_of
from leadrail_tools.contracts.schemas import schema_of
from shared.contracts import EVENTS, Event, LeadCaptured


class FaxReceived(Event, frozen=True, kw_only=True):
    """An event with a field that no table knows."""

    type: ClassVar[str] = "leadrail.fax.received.v1"
    topic: ClassVar[str] = "leads.activity"

    fax_number: str


class CallEnded(Event, frozen=True, kw_only=True):
    """An event with instants and a mapping."""

    type: ClassVar[str] = "leadrail.call.ended.v1"
    topic: ClassVar[str] = "leads.activity"

    due_at: datetime
    at: datetime | None = None
    notes: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it


def test_a_field_without_an_example_is_named() -> None:
    with pytest.raises(NoExample, match="fax_number"):
        example_of(FaxReceived)


def test_optional_fields_are_shown_too() -> None:
    assert set(example_of(LeadCaptured)) == {field.encode_name for field in msgspec.structs.fields(LeadCaptured)}


def test_instants_of_an_example_are_in_order() -> None:
    example = example_of(CallEnded)
    assert example["at"] < example["due_at"]


def test_instants_are_date_times_in_the_schema() -> None:
    assert schema_of(CallEnded)["properties"]["due_at"] == {"type": "string", "format": "date-time"}


@pytest.mark.parametrize("event", EVENTS)
def test_examples_hold_no_real_address(event: type[Event]) -> None:
    text = msgspec.json.encode(example_of(event)).decode()
    assert text.count("@") == text.count("@analytics.example")


def test_the_example_tables_hold_nothing_that_no_event_uses() -> None:
    used = "".join(msgspec.json.encode(example_of(event)).decode() for event in EVENTS)
    assert [value for value in TEXTS.values() if msgspec.json.encode(value).decode() not in used] == []
