"""Where a partition is begun, decided from what is kept, what is committed, and what the broker has."""

from uuid import UUID

import pytest

from shared.runtime.positions import Log, Position, Refused, Start, choose_start, first_position

OURS, ANOTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("kept", "committed", "beginning", "end", "start"),
    [
        pytest.param(7, 7, 0, 9, Start(7), id="where it stopped"),
        pytest.param(7, 9, 0, 9, Start(7), id="a restored database is behind Kafka"),
        pytest.param(7, 2, 0, 9, Start(2), id="rewound"),
        pytest.param(7, None, 0, 9, Start(7), id="Kafka has forgotten the group"),
        pytest.param(7, 7, 7, 7, Start(7), id="all handled, all deleted"),
        pytest.param(7, 2, 5, 9, Start(5), id="rewound to before what Kafka still has, all of it handled once"),
        pytest.param(3, 3, 5, 9, Start(5, lost=2), id="deleted before it was handled"),
        pytest.param(3, 8, 5, 9, Start(5, lost=2), id="deleted before the restored database handled it"),
        pytest.param(3, None, 5, 9, Start(5, lost=2), id="deleted, and the group forgotten"),
    ],
)
def test_partition_is_begun_at_the_first_record_that_may_not_have_been_handled(
    kept: int, committed: int | None, beginning: int, end: int, start: Start
) -> None:
    assert choose_start(Position(OURS, kept), committed, Log(OURS, beginning, end)) == start


@pytest.mark.parametrize("committed", [None, 0, 7, 9])
@pytest.mark.parametrize("end", [0, 7, 1_000])
def test_topic_with_another_id_is_refused_whatever_the_offsets_are(committed: int | None, end: int) -> None:
    refusal = choose_start(Position(OURS, 7), committed, Log(ANOTHER, 0, end))
    assert refusal == Refused("was deleted and created again")


def test_topic_that_was_never_read_and_is_another_one_now_is_refused_too() -> None:
    assert isinstance(choose_start(Position(OURS, 0), None, Log(ANOTHER, 0, 0)), Refused)


def test_topic_that_ends_before_what_was_reached_is_refused() -> None:
    refusal = choose_start(Position(OURS, 7), 2, Log(OURS, 0, 6))
    assert refusal == Refused("ends at 6, before the 7 that was reached")


def test_new_consumer_starts_at_the_oldest_record() -> None:
    log = Log(OURS, 4, 9)
    assert choose_start(first_position(log, None), None, log) == Start(4)


def test_consumer_from_before_positions_were_kept_goes_on_where_kafka_says() -> None:
    log = Log(OURS, 4, 9)
    assert choose_start(first_position(log, 6), 6, log) == Start(6)


def test_consumer_from_before_positions_were_kept_refuses_a_topic_that_ends_before_its_offset() -> None:
    log = Log(OURS, 0, 5)
    assert isinstance(choose_start(first_position(log, 6), 6, log), Refused)


def test_consumer_from_before_positions_were_kept_tells_what_was_deleted_behind_its_back() -> None:
    log = Log(OURS, 8, 9)
    assert choose_start(first_position(log, 6), 6, log) == Start(8, lost=2)
