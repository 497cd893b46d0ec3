"""Ids carry their instant, and ranges of ids cover days."""

from datetime import UTC, datetime, timedelta

from shared.ids import first_id_of, instant_of, new_id


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
