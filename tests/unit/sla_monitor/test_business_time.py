"""The laws of business time, on calendars with split shifts, holidays, night shifts and clock changes."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sla_monitor.domain.business_time import add_business_time, add_each, business_time_between, explain_span
from sla_monitor.domain.calendars import Calendar, NoOpenTime, Shift
from sla_monitor.policy_document import HolidaysModel

HOUR = timedelta(hours=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # changes by half an hour
    "America/Santiago",  # skips midnight
    "Africa/Cairo",
    "Pacific/Apia",
    "America/Havana",  # repeats the hour after midnight
)
CHANGES = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 9, 6, 4, tzinfo=UTC),
        datetime(2026, 4, 5, 3, tzinfo=UTC),
    ]
)
ANYWHERE = st.timedeltas(timedelta(0), timedelta(days=1461)).map(lambda since: datetime(2024, 1, 1, tzinfo=UTC) + since)
NEAR_A_CHANGE = st.builds(lambda at, off: at + off, CHANGES, st.timedeltas(timedelta(days=-2), timedelta(days=2)))
INSTANTS = ANYWHERE | NEAR_A_CHANGE
DURATIONS = st.timedeltas(timedelta(0), timedelta(hours=16))


@st.composite
def shifts(draw):
    cuts = sorted(draw(st.sets(st.integers(0, 1439), min_size=2, max_size=6)))
    return tuple(Shift(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False))


HOLIDAYS = {country: HolidaysModel(country=country).load() for country in ("DE", "US", "GB")}


@st.composite
def calendars(draw):
    week = draw(st.dictionaries(st.integers(0, 6), shifts(), min_size=1, max_size=7))
    if draw(st.booleans()):  # a night shift, where the next morning is free
        day = draw(st.integers(0, 6))
        if day not in week and (day + 1) % 7 not in week:
            week[day] = (Shift(1320, 1800),)
    assume(sum(shift.closes - shift.opens for day in week.values() for shift in day) >= 240)
    return Calendar(
        "drawn",
        draw(st.sampled_from(ZONES)),
        week,
        special_days=draw(st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 12, 31)), shifts(), max_size=3)),
        closed_days=draw(
            st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.just("closed"), max_size=3)
        ),
        holidays=HOLIDAYS[draw(st.sampled_from(sorted(HOLIDAYS)))],
    )


def office(**fields) -> Calendar:
    week = {day: (Shift(9 * 60, 12 * 60 + 30), Shift(13 * 60 + 30, 18 * 60)) for day in range(5)}
    return Calendar(**{"calendar_id": "office", "time_zone": "Europe/Berlin", "week": week, **fields})


@settings(max_examples=100, deadline=None)
@given(calendars(), INSTANTS, DURATIONS)
def test_measuring_up_to_a_deadline_gives_the_duration_that_was_added(calendar, start, duration):
    deadline = add_business_time(calendar, start, duration)
    assert deadline >= start
    assert business_time_between(calendar, start, deadline) == duration


@settings(max_examples=100, deadline=None)
@given(calendars(), INSTANTS, st.timedeltas(timedelta(0), timedelta(days=14)))
def test_a_deadline_is_the_earliest_instant_that_holds_the_measured_time(calendar, start, stretch):
    end = start + stretch
    deadline = add_business_time(calendar, start, business_time_between(calendar, start, end))
    assert start <= deadline <= end
    assert business_time_between(calendar, deadline, end) == timedelta(0)


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, DURATIONS, DURATIONS)
def test_adding_in_two_steps_equals_adding_at_once(calendar, start, first, second):
    in_two_steps = add_business_time(calendar, add_business_time(calendar, start, first), second)
    assert in_two_steps == add_business_time(calendar, start, first + second)


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, DURATIONS, DURATIONS, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_later_start_or_a_longer_duration_never_gives_an_earlier_deadline(calendar, start, first, second, delay):
    shorter, longer = sorted((first, second))
    assert add_business_time(calendar, start, shorter) <= add_business_time(calendar, start, longer)
    assert add_business_time(calendar, start, longer) <= add_business_time(calendar, start + delay, longer)


STRETCHES = st.timedeltas(timedelta(0), timedelta(days=10))


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, STRETCHES, STRETCHES)
def test_measured_time_adds_up_over_a_split_and_changes_sign_backwards(calendar, a, first, second):
    b, c = a + first, a + first + second
    whole = business_time_between(calendar, a, c)
    assert business_time_between(calendar, a, b) + business_time_between(calendar, b, c) == whole
    assert business_time_between(calendar, c, a) == -whole
    assert timedelta(0) <= whole <= c - a


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, st.lists(DURATIONS, min_size=1, max_size=4).map(sorted))
def test_several_deadlines_in_one_walk_equal_each_on_its_own(calendar, start, durations):
    assert add_each(calendar, start, durations) == [add_business_time(calendar, start, d) for d in durations]


@settings(max_examples=60, deadline=None)
@given(calendars(), st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_windows_of_consecutive_days_are_ordered_and_never_overlap(calendar, day):
    windows = [window for offset in range(4) for window in calendar.windows(day + timedelta(days=offset))]
    assert all(window.start < window.end for window in windows)
    assert all(a.end <= b.start for a, b in pairwise(windows))


@settings(max_examples=40, deadline=None)
@given(calendars(), INSTANTS, DURATIONS)
def test_the_explanation_counts_exactly_the_duration(calendar, start, duration):
    span = explain_span(calendar, start, add_business_time(calendar, start, duration), most=1000)
    assert span.total == duration == sum((window.length for window in span.counted), timedelta(0))


def test_the_lunch_break_does_not_count():
    start = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # noon in Berlin
    assert add_business_time(office(), start, HOUR) == datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


def test_a_friday_evening_lead_is_due_on_monday_morning():
    start = datetime(2026, 11, 27, 18, 30, tzinfo=UTC)
    assert add_business_time(office(), start, HOUR) == datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def test_time_that_ends_with_the_shift_is_due_at_closing_time():
    start = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    assert add_business_time(office(), start, HOUR) == datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_no_time_at_all_is_due_at_once_even_when_closed():
    sunday = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
    assert add_business_time(office(), sunday, timedelta(0)) == sunday


def test_a_public_holiday_is_skipped_and_named():
    calendar = office(holidays=HolidaysModel(country="DE").load())
    start = datetime(2026, 12, 24, 16, 30, tzinfo=UTC)  # half an hour before closing on Thursday
    due = add_business_time(calendar, start, HOUR)
    assert due == datetime(2026, 12, 28, 8, 30, tzinfo=UTC)
    assert [(closure.day, closure.name) for closure in explain_span(calendar, start, due).skipped] == [
        (date(2026, 12, 25), "Christmas Day")
    ]


def test_a_holiday_of_one_subdivision_only_is_skipped_there():
    epiphany = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
    bavaria = office(holidays=HolidaysModel(country="DE", subdivision="BY").load())
    hamburg = office(holidays=HolidaysModel(country="DE", subdivision="HH").load())
    assert add_business_time(bavaria, epiphany, HOUR) == datetime(2026, 1, 7, 9, 0, tzinfo=UTC)
    assert add_business_time(hamburg, epiphany, HOUR) == datetime(2026, 1, 6, 10, 0, tzinfo=UTC)


def test_an_own_closed_day_is_skipped_like_a_holiday():
    calendar = office(closed_days={date(2026, 11, 25): "works outing"})
    start = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
    assert add_business_time(calendar, start, HOUR) == datetime(2026, 11, 26, 8, 30, tzinfo=UTC)


def test_a_special_day_opens_on_a_holiday():
    calendar = office(
        holidays=HolidaysModel(country="DE").load(), special_days={date(2026, 12, 25): (Shift(10 * 60, 12 * 60),)}
    )
    start = datetime(2026, 12, 25, 0, 0, tzinfo=UTC)
    assert add_business_time(calendar, start, HOUR) == datetime(2026, 12, 25, 10, 0, tzinfo=UTC)


def all_day(zone: str) -> Calendar:
    return Calendar("all_day", zone, {day: (Shift(0, 1440),) for day in range(7)})


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_a_day_is_as_long_as_the_clock_change_makes_it(day, hours):
    assert sum((w.length for w in all_day("Europe/Berlin").windows(day)), timedelta(0)) == timedelta(hours=hours)


def test_an_opening_time_that_is_skipped_stands_for_the_instant_of_the_change():
    calendar = Calendar("night", "Europe/Berlin", {6: (Shift(150, 240),)})  # Sunday 02:30 - 04:00
    (window,) = calendar.windows(date(2026, 3, 29))
    assert window.start == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert window.end == datetime(2026, 3, 29, 2, 0, tzinfo=UTC)


def test_a_shift_that_lies_in_the_skipped_hour_does_not_exist_that_day():
    assert Calendar("gap", "Europe/Berlin", {6: (Shift(130, 170),)}).windows(date(2026, 3, 29)) == ()


def test_the_hour_that_happens_twice_counts_in_the_shift_that_spans_it():
    calendar = Calendar("night", "Europe/Berlin", {6: (Shift(60, 240),)})  # Sunday 01:00 - 04:00
    (window,) = calendar.windows(date(2026, 10, 25))
    assert window.length == timedelta(hours=4)


def test_a_shift_inside_the_repeated_hour_happens_once():
    (window,) = Calendar("night", "Europe/Berlin", {6: (Shift(130, 160),)}).windows(date(2026, 10, 25))
    assert window.length == timedelta(minutes=30)


def test_a_night_shift_belongs_to_the_day_on_which_it_opens():
    calendar = Calendar("night", "UTC", {0: (Shift(22 * 60, 30 * 60),)})  # Monday 22:00 - Tuesday 06:00
    start = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)  # Tuesday
    assert add_business_time(calendar, start, timedelta(hours=2)) == datetime(2026, 11, 30, 23, 0, tzinfo=UTC)


def test_a_whole_day_that_a_zone_skips_has_no_working_time():
    calendar = Calendar("samoa", "Pacific/Apia", {day: (Shift(540, 1020),) for day in range(7)})
    assert calendar.windows(date(2011, 12, 30)) == ()
    assert len(calendar.windows(date(2011, 12, 31))) == 1


def test_a_calendar_that_is_always_open_adds_plain_time():
    calendar = Calendar("always", "UTC", {}, is_always_open=True)
    start = datetime(2026, 12, 25, 3, 0, tzinfo=UTC)
    assert add_business_time(calendar, start, HOUR) == start + HOUR
    assert business_time_between(calendar, start, start + HOUR) == HOUR


def test_a_search_without_open_time_ends_at_the_horizon_with_an_error():
    never = Calendar("never", "UTC", {0: ()})
    with pytest.raises(NoOpenTime):
        add_business_time(never, datetime(2026, 1, 1, tzinfo=UTC), HOUR)


def test_business_time_is_not_added_backwards():
    with pytest.raises(ValueError, match="forward"):
        add_business_time(office(), datetime(2026, 1, 1, tzinfo=UTC), -HOUR)


@pytest.mark.parametrize(("opens", "closes"), [(-1, 60), (60, 60), (1440, 1500), (600, 600 + 1441)])
def test_a_shift_that_no_day_has_is_refused(opens, closes):
    with pytest.raises(ValueError, match="shift"):
        Shift(opens, closes)
