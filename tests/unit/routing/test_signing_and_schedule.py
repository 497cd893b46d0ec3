import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.delivery.breaker import FIRST_PAUSE, LONGEST_PAUSE, OPENS_AFTER, Breaker
from routing.delivery.schedule import DELAYS, JITTER, MAX_ATTEMPTS, next_due, read_retry_after
from routing.delivery.signing import SecretInvalid, read_secret, show_secret, sign

VECTORS = json.loads(Path(__file__).with_name("data").joinpath("standard_webhooks_vectors.json").read_text())["vectors"]
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_signatures_agree_with_the_published_vectors(vector):
    sent_at = datetime.fromtimestamp(int(vector["webhook_timestamp"]), UTC)
    headers = sign([read_secret(vector["secret"])], vector["webhook_id"], sent_at, vector["body"].encode())
    assert headers["webhook-timestamp"] == vector["webhook_timestamp"]
    assert (headers["webhook-signature"] == vector["webhook_signature"]) is vector["expect_valid"]


def test_a_delivery_is_signed_with_every_active_secret_in_order():
    both = sign([b"old", b"new"], "msg_1", NOW, b"{}")["webhook-signature"].split(" ")
    assert both == [sign([key], "msg_1", NOW, b"{}")["webhook-signature"] for key in (b"old", b"new")]


def test_the_id_stays_and_the_timestamp_moves_from_attempt_to_attempt():
    first, later = (sign([b"k"], "msg_1", NOW + delay, b"{}") for delay in (timedelta(0), timedelta(seconds=5)))
    assert first["webhook-id"] == later["webhook-id"]
    assert int(later["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5
    assert first["webhook-signature"] != later["webhook-signature"]


def test_a_secret_is_shown_in_the_form_receivers_read():
    assert read_secret(show_secret(b"\x00" * 32)) == b"\x00" * 32
    assert show_secret(b"\x00" * 32).startswith("whsec_")


def test_a_secret_that_is_not_base64_is_refused():
    with pytest.raises(SecretInvalid):
        read_secret("whsec_ü")


@pytest.mark.parametrize("attempts", range(1, MAX_ATTEMPTS))
@pytest.mark.parametrize("callback_id", ["a", "b", "c"])
def test_each_retry_waits_for_its_delay_give_or_take_the_jitter(attempts, callback_id):
    due = next_due(callback_id, attempts, NOW)
    assert due is not None
    assert abs((due - NOW) / DELAYS[attempts] - 1) <= JITTER / 2


def test_the_schedule_is_svixs():
    seconds = [delay.total_seconds() for delay in DELAYS]
    assert seconds == [0, 5, 300, 1800, 7200, 18000, 36000, 36000]


def test_after_the_last_attempt_there_is_no_other():
    assert next_due("a", MAX_ATTEMPTS, NOW) is None


def test_what_failed_together_does_not_come_back_together():
    assert len({next_due(str(number), 2, NOW) for number in range(50)}) == 50


def test_the_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever():
    hour = timedelta(hours=1)
    assert next_due("a", 1, NOW, hour) == NOW + hour
    assert next_due("a", 3, NOW, timedelta(seconds=1)) == next_due("a", 3, NOW)
    assert next_due("a", 1, NOW, timedelta(days=400)) == NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Tue, 24 Nov 2026 10:01:30 GMT", 90),
        ("Tue, 24 Nov 2026 09:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("9" * 400, 10**8),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing(value, seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert read_retry_after(value, NOW) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_retry_after_header_breaks_the_worker(value):
    read_retry_after(value, NOW)


def fail(breaker: Breaker, times: int, now: datetime = NOW) -> Breaker:
    for _ in range(times):
        breaker.record_absence(now)
    return breaker


def test_a_few_failures_leave_the_circuit_closed():
    assert fail(Breaker(), OPENS_AFTER - 1).allows(NOW, in_flight=10)


def test_failures_in_a_row_open_the_circuit_for_a_pause():
    breaker = fail(Breaker(), OPENS_AFTER)
    assert not breaker.allows(NOW + FIRST_PAUSE - timedelta(milliseconds=1), in_flight=0)


def test_after_the_pause_one_callback_at_a_time_tries():
    breaker = fail(Breaker(), OPENS_AFTER)
    assert breaker.allows(NOW + FIRST_PAUSE, in_flight=0)
    assert not breaker.allows(NOW + FIRST_PAUSE, in_flight=1)


def test_failures_of_callbacks_that_were_already_on_their_way_do_not_lengthen_the_pause():
    breaker = fail(Breaker(), OPENS_AFTER + 20)
    assert breaker.retry_at == NOW + FIRST_PAUSE


def test_a_trial_that_fails_doubles_the_pause_up_to_a_limit():
    breaker, now = fail(Breaker(), OPENS_AFTER), NOW
    pauses = []
    for _ in range(9):
        now = breaker.retry_at or now
        breaker.record_absence(now)
        pauses.append((breaker.retry_at or now) - now)
    assert pauses[:2] == [FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE


def test_one_answer_closes_the_circuit():
    breaker = fail(Breaker(), OPENS_AFTER)
    breaker.record_answer()
    assert breaker.allows(NOW, in_flight=10)
    assert breaker.pause == FIRST_PAUSE
