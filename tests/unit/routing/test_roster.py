from datetime import UTC, date, datetime

import pytest

from routing.domain.distribution import Member
from routing.domain.document import Pool, Share, muster
from routing.domain.roster import Load, Rep, Roster, Shift, TimeOff, absence_of, cap_reached, minutes_of
from routing.reference import shifts_of

OFFICE = shifts_of({day: [["09:00", "12:30"], ["13:30", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")})


def make_rep(**fields) -> Rep:
    return Rep(**{"rep_id": "ana", "name": "Ana", "team": "emea", "time_zone": "Europe/Berlin", **fields})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "absence"),
    [
        ("2026-11-24T07:59:59", "outside_working_hours"),  # Tuesday, Berlin is UTC+1 in winter
        ("2026-11-24T08:00:00", None),
        ("2026-11-24T11:29:59", None),
        ("2026-11-24T11:30:00", "outside_working_hours"),  # lunch
        ("2026-11-24T12:30:00", None),
        ("2026-11-24T17:00:00", "outside_working_hours"),
        ("2026-11-28T10:00:00", "outside_working_hours"),  # Saturday
        ("2026-07-21T06:59:59", "outside_working_hours"),  # UTC+2 in summer
        ("2026-07-21T07:00:00", None),
    ],
)
def test_working_hours_follow_the_wall_clock_with_split_shifts_and_summer_time(now, absence):
    assert absence_of(make_rep(shifts=OFFICE), utc(now)) == absence


@pytest.mark.parametrize(
    ("now", "absence"),
    [
        # On 2026-03-29 Berlin's clocks jump from 02:00 to 03:00: a shift from 02:30 to 03:30 lasts half an hour.
        ("2026-03-29T00:59:00", "outside_working_hours"),
        ("2026-03-29T01:00:00", None),
        ("2026-03-29T01:30:00", "outside_working_hours"),
        # On 2026-10-25 the hour from 02:00 to 03:00 comes twice: the shift is worked in both.
        ("2026-10-25T00:30:00", None),
        ("2026-10-25T01:00:00", "outside_working_hours"),
        ("2026-10-25T01:30:00", None),
        ("2026-10-25T02:29:00", None),
        ("2026-10-25T02:30:00", "outside_working_hours"),
    ],
)
def test_the_nights_in_which_clocks_change_are_no_trap(now, absence):
    assert absence_of(make_rep(shifts=shifts_of({"sun": [["02:30", "03:30"]]})), utc(now)) == absence


@pytest.mark.parametrize(
    ("now", "absence"),
    [
        ("2026-12-23T22:59:00", None),  # still the 23rd in Berlin
        ("2026-12-23T23:00:00", "time_off"),
        ("2026-12-26T22:59:00", "time_off"),
        ("2026-12-26T23:00:00", None),
    ],
)
def test_time_off_covers_whole_days_of_the_reps_own_calendar(now, absence):
    off = (TimeOff(date(2026, 12, 24), date(2026, 12, 26)),)
    assert absence_of(make_rep(time_off=off), utc(now)) == absence


def test_a_rep_without_hours_is_always_at_work():
    assert absence_of(make_rep(shifts=None), utc("2026-11-29T03:00:00")) is None


def test_a_rep_with_empty_hours_is_never_at_work():
    assert absence_of(make_rep(shifts=()), utc("2026-11-24T10:00:00")) == "outside_working_hours"


def test_paused_is_named_before_any_shorter_reason():
    rep = make_rep(is_paused=True, shifts=(), time_off=(TimeOff(date(2026, 1, 1), date(2026, 12, 31)),))
    assert absence_of(rep, utc("2026-11-24T10:00:00")) == "paused"


@pytest.mark.parametrize(
    ("rep", "load", "reached"),
    [
        (make_rep(), Load(open=10_000), None),
        (make_rep(max_open=3), Load(open=2), None),
        (make_rep(max_open=3), Load(open=3), "open_cap_reached"),
        (make_rep(max_open=0), Load(), "open_cap_reached"),
        (make_rep(max_per_day=2), Load(day=date(2026, 11, 24), given=1), None),
        (make_rep(max_per_day=2), Load(day=date(2026, 11, 24), given=2), "daily_cap_reached"),
        (make_rep(max_per_day=2), Load(day=date(2026, 11, 23), given=2), None),
    ],
)
def test_a_cap_is_reached_exactly_at_its_number_and_days_start_at_zero(rep, load, reached):
    assert cap_reached(rep, load, date(2026, 11, 24)) == reached


def test_a_day_begins_at_the_reps_midnight():
    roster = Roster(1, {"ana": make_rep(time_zone="Pacific/Auckland")})
    assert roster.day_of("ana", utc("2026-11-24T11:30:00")) == date(2026, 11, 25)


def test_a_roster_does_not_carry_an_absence_over_to_another_instant():
    roster = Roster(1, {"ana": make_rep(shifts=OFFICE)})
    assert roster.absence("ana", utc("2026-11-24T10:00:00")) is None
    assert roster.absence("ana", utc("2026-11-24T23:00:00")) == "outside_working_hours"


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("09:30", 570), ("23:59", 1439), ("24:00", 1440)])
def test_clock_times_become_minutes(text, minutes):
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["25:00", "9", "09:30:15", "09:30+01:00", "noon"])
def test_other_clock_times_are_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        minutes_of(text)


def test_a_shift_may_last_until_midnight():
    assert shifts_of({"mon": [["22:00", "24:00"]]}) == (Shift(0, 1320, 1440),)


def test_a_crew_is_teams_and_reps_sorted_with_named_reps_keeping_their_own_weight():
    reps = {rep_id: make_rep(rep_id=rep_id) for rep_id in ("cyd", "ana", "bob")}
    pool = Pool("p", (Share(1, team="emea"), Share(5, rep_id="bob"), Share(2, rep_id="gone")), "assign_anyway")
    crew = muster(pool, Roster(1, reps))
    assert crew.members == (Member("ana", 1), Member("bob", 5), Member("cyd", 1))
    assert crew.missing == ("gone",)
    assert crew.total_weight == 7
