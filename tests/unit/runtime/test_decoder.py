"""A record that no handler could ever take becomes a dead letter; it never stops the consumer."""

import msgspec
import pytest
from aiokafka import ConsumerRecord

from shared.contracts import LeadCaptured, encode_event
from shared.runtime.envelope import Arrived, DeadLetter, Decoder
from shared.testing.builders import make_captured

ID = "01a20cfd-9812-73dd-831d-5f321a0d0dea"


def record(payload: bytes | None = None, **headers: bytes | None) -> ConsumerRecord:
    given = {"ce_type": LeadCaptured.type.encode(), "ce_id": ID.encode(), "ce_time": b"2026-11-24T10:00:00Z"} | headers
    value = encode_event(make_captured("lead-1")) if payload is None else payload
    return ConsumerRecord("leads.captured", 0, 7, 0, 0, b"lead-1", value, None, 0, len(value), tuple(given.items()))


def decode(taken: ConsumerRecord) -> Arrived | DeadLetter | None:
    return Decoder({LeadCaptured: None}).decode(taken)


def test_intact_record_is_decoded() -> None:
    arrived = decode(record())
    assert isinstance(arrived, Arrived)
    assert (arrived.received.id, arrived.received.key, arrived.offset) == (ID, "lead-1", 7)


@pytest.mark.parametrize("header", ["ce_type", "ce_id", "ce_time"])
def test_null_header_is_a_dead_letter_that_keeps_it(header: str) -> None:
    letter = decode(record(**{header: None}))
    assert isinstance(letter, DeadLetter)
    assert [header, None] in msgspec.msgpack.decode(letter.headers)


@pytest.mark.parametrize(
    "event_id",
    [
        "0f0f0f0f-aaaa-4aaa-8aaa-aaaaaaaaaaaa",  # version 4: its "day" lies in another century, each in its own
        "ffffffff-ffff-7fff-8fff-ffffffffffff",  # after the year 9999: no datetime can hold it
        ID.upper(),  # the inbox would answer with the canonical text and never find it again
        f"urn:uuid:{ID}",
        "nonsense",
    ],
)
def test_event_id_that_is_no_canonical_uuid7_is_a_dead_letter(event_id: str) -> None:
    assert isinstance(decode(record(ce_id=event_id.encode())), DeadLetter)


def test_time_without_zone_is_a_dead_letter() -> None:
    assert isinstance(decode(record(ce_time=b"2026-11-24T10:00:00")), DeadLetter)


def test_key_that_postgres_cannot_hold_is_a_dead_letter_whose_reason_it_can() -> None:
    letter = decode(record(encode_event(make_captured("lead\x00"))))
    assert isinstance(letter, DeadLetter)
    assert "\x00" not in letter.reason


@pytest.mark.parametrize("traceparent", [None, b"\x00", b"nonsense"])
def test_damaged_traceparent_is_dropped_and_the_event_goes_on(traceparent: bytes | None) -> None:
    arrived = decode(record(traceparent=traceparent))
    assert isinstance(arrived, Arrived)
    assert arrived.received.traceparent == ""
