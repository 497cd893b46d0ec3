"""Ids carry their instant, and ranges of ids cover days."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.ids import first_id_of, id_from, instant_of, new_id


def test_later_ids_sort_after_earlier_ones() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


def test_instant_is_inside_the_id() -> None:
    instant = datetime(2026, 11, 24, 10, 0, 0, 123000, tzinfo=UTC)
    assert instant_of(first_id_of(instant)) == instant


def test_bounds_of_a_day_hold_exactly_its_ids() -> None:
    now = instant_of(new_id())
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert first_id_of(day) <= new_id() < first_id_of(day + timedelta(days=2))


def test_an_id_that_follows_from_others_is_the_same_every_time_and_differs_with_each_of_them() -> None:
    first = new_id()
    made = [id_from(first, "endpoint", "lead.assigned") for _ in range(2)]
    others = {id_from(first, "endpoint", "lead.reassigned"), id_from(new_id(), "endpoint", "lead.assigned")}
    assert made[0] == made[1]
    assert made[0] not in others


def test_an_id_that_follows_from_another_is_a_uuid7_of_the_same_instant() -> None:
    first = new_id()
    made = id_from(first, "endpoint")
    assert instant_of(made) == instant_of(first)
    assert (UUID(made).version, UUID(made).variant) == (7, UUID(first).variant)
