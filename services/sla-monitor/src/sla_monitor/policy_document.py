"""The policy document: from YAML to compiled policies, with an error for each field that is wrong."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays as public_holidays
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.contracts import ActivityKind
from shared.documents import DocumentInvalid, DocumentStore, load_yaml
from sla_monitor.domain.calendars import Calendar, Holidays, NoOpenTime, Shift
from sla_monitor.domain.policies import Policy, PolicyDocument, Segment, Stage, plan_deadline

MOST_STAGES, MOST_POLICIES, MOST_CALENDARS, MOST_DAYS = 8, 200, 100, 400
LONGEST = timedelta(days=90)
# Where validation tries a calendar: the first of each quarter of four years, a leap year among them.
PROBES = tuple(datetime(year, month, 1, tzinfo=UTC) for year in range(2026, 2030) for month in (1, 4, 7, 10))
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHIFT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_DURATION = re.compile(r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?")
_LEAD_FIELDS = ("grade", "is_mql", "points_at_least", "points_below")


def _parse_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is written like 15m, 1h30m or 90s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    duration = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"a duration is more than 0 and at most {LONGEST.days * 24}h")
    return duration


def _parse_shift(value: object) -> Shift:
    if isinstance(value, Shift):
        return value
    match = _SHIFT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a shift is written like 09:00-12:30; quote it")
    from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
    opens, closes = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if closes > 1440:
        raise ValueError("a day ends at 24:00")
    return Shift(opens, closes if closes > opens else closes + 1440)


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("not an IANA time zone") from error
    return name


def _check_shifts(shifts: list[Shift]) -> list[Shift]:
    ordered = sorted(shifts)
    if any(earlier.closes > later.opens for earlier, later in pairwise(ordered)):
        raise ValueError("shifts of one day overlap")
    return ordered


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
Shifts = Annotated[
    list[Annotated[Shift, BeforeValidator(_parse_shift)]], Field(max_length=12), AfterValidator(_check_shifts)
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class StageModel(_Strict):
    """A stage."""

    id: Name
    starts_with: Literal["capture", "owner"]
    met_by: list[ActivityKind] = []

    @model_validator(mode="after")
    def _is_met_by_something(self) -> Self:
        if (self.starts_with == "owner") != bool(self.met_by):
            raise ValueError("met_by belongs to stages that start with an owner, and they need it")
        return self


class HolidaysModel(_Strict):
    """Public holidays of a country, or of one of its subdivisions (the part after the dash in ISO 3166-2)."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    subdivision: Annotated[str, Field(pattern=r"^[A-Za-z0-9 _-]{1,40}$")] | None = None

    @model_validator(mode="after")
    def _exists(self) -> Self:
        self.load()
        return self

    def load(self) -> Holidays:
        """Return the calendar of holidays, with English names where there are some."""
        try:
            return _country_holidays(self.country, self.subdivision)
        except NotImplementedError as error:
            raise ValueError(str(error)) from error


class SpecialDayModel(_Strict):
    """A date with hours of its own, whatever weekday or holiday it is."""

    date: date
    shifts: Annotated[Shifts, Field(min_length=1)]


class ClosedDayModel(_Strict):
    """A date on which nobody works."""

    date: date
    name: Text = "closed"


class CalendarModel(_Strict):
    """A calendar."""

    id: Name
    always_open: bool = False
    time_zone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    week: dict[Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], Shifts] = {}
    holidays: HolidaysModel | None = None
    special_days: Annotated[list[SpecialDayModel], Field(max_length=MOST_DAYS)] = []
    closed_days: Annotated[list[ClosedDayModel], Field(max_length=MOST_DAYS)] = []

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.always_open:
            if self.week or self.holidays or self.special_days or self.closed_days:
                raise ValueError("a calendar that is always open has no shifts, holidays or days of its own")
            return self
        if not any(self.week.values()):
            raise ValueError("the calendar never opens: give it a shift, or always_open: true")
        for index, day in enumerate(_DAYS):
            today, tomorrow = self._of(day), self._of(_DAYS[(index + 1) % 7])
            if today and tomorrow and today[-1].closes - 1440 > tomorrow[0].opens:
                raise ValueError(f"the last shift of {day} reaches into the first one of the next day")
        return self

    def _of(self, day: str) -> list[Shift]:
        return next((shifts for name, shifts in self.week.items() if name == day), [])

    def build(self) -> Calendar:
        """Return the compiled calendar."""
        return Calendar(
            calendar_id=self.id,
            time_zone=self.time_zone,
            week={_DAYS.index(day): tuple(shifts) for day, shifts in self.week.items()},
            special_days={day.date: tuple(day.shifts) for day in self.special_days},
            closed_days={day.date: day.name for day in self.closed_days},
            holidays=self.holidays.load() if self.holidays else None,
            is_always_open=self.always_open,
        )


class SegmentModel(_Strict):
    """Which leads; all that is given must hold."""

    source_kind: Annotated[list[Text], Field(min_length=1)] | None = None
    source_key: Annotated[list[Text], Field(min_length=1)] | None = None
    country: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]], Field(min_length=1)] | None = None
    grade: Annotated[list[Literal["A", "B", "C", "D"]], Field(min_length=1)] | None = None
    is_mql: bool | None = None
    is_new_lead: bool | None = None
    points_at_least: Annotated[float, Field(ge=0, le=100)] | None = None
    points_below: Annotated[float, Field(gt=0, le=101)] | None = None

    def build(self) -> Segment:
        """Return the compiled condition."""
        return Segment(
            source_kinds=_set(self.source_kind),
            source_keys=_set(self.source_key),
            countries=_set(self.country),
            grades=_set(self.grade),
            is_mql=self.is_mql,
            is_new_lead=self.is_new_lead,
            points_at_least=self.points_at_least,
            points_below=self.points_below,
        )


class AtRiskModel(_Strict):
    """When a clock counts as at risk: after a fraction of the target, or some time before the deadline."""

    fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    before: Duration | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.fraction is None) == (self.before is None):
            raise ValueError("give either fraction or before")
        return self


class BreachModel(_Strict):
    """What is done when the deadline passes."""

    action: Literal["notify", "reassign"] = "notify"
    max_reassignments: Annotated[int, Field(ge=1, le=20)] | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if (self.action == "reassign") != (self.max_reassignments is not None):
            raise ValueError("max_reassignments belongs to action reassign, which needs it")
        return self


class PolicyModel(_Strict):
    """A policy."""

    id: Name
    stage: Name
    when: SegmentModel = SegmentModel()
    calendar: Name
    starts_at: Literal["received", "assigned"] = "received"
    target: Duration
    at_risk: AtRiskModel = AtRiskModel(fraction=0.75)
    on_breach: BreachModel = BreachModel()
    escalate_after: Duration | None = None

    @model_validator(mode="after")
    def _is_at_risk_before_it_is_due(self) -> Self:
        if self.at_risk.before is not None and self.at_risk.before >= self.target:
            raise ValueError("at_risk.before is shorter than the target")
        return self

    def build(self, calendar: Calendar) -> Policy:
        """Return the compiled policy."""
        before, fraction = self.at_risk.before, self.at_risk.fraction or 0.0
        return Policy(
            policy_id=self.id,
            stage=self.stage,
            segment=self.when.build(),
            calendar=calendar,
            starts_at=self.starts_at,
            target=self.target,
            at_risk_after=self.target - before if before is not None else self.target * fraction,
            on_breach=self.on_breach.action,
            max_reassignments=self.on_breach.max_reassignments or 0,
            escalate_after=self.escalate_after,
        )


class DocumentModel(_Strict):
    """The whole document."""

    stages: Annotated[list[StageModel], Field(min_length=1, max_length=MOST_STAGES)]
    calendars: Annotated[list[CalendarModel], Field(min_length=1, max_length=MOST_CALENDARS)]
    policies: Annotated[list[PolicyModel], Field(max_length=MOST_POLICIES)]


def parse_policies(text: str) -> PolicyDocument:
    """Return the compiled document. Errors: `DocumentInvalid` with a JSON pointer to each field that is wrong."""
    try:
        model = DocumentModel.model_validate(load_yaml(text))
    except ValidationError as error:
        raise DocumentInvalid([_as_error(item["loc"], item["msg"]) for item in error.errors()]) from error
    if errors := [*_cross_errors(model)]:
        raise DocumentInvalid(errors)
    calendars = {calendar.id: calendar.build() for calendar in model.calendars}
    document = PolicyDocument(
        stages={stage.id: Stage(stage.id, stage.starts_with, frozenset(stage.met_by)) for stage in model.stages},
        policies=tuple(policy.build(calendars[policy.calendar]) for policy in model.policies),
        calendars=calendars,
    )
    if errors := [*_opening_errors(document)]:
        raise DocumentInvalid(errors)
    return document


def default_policies_text() -> str:
    """Return the document that a new installation starts with."""
    return (files("sla_monitor") / "defaults" / "policies.yaml").read_text(encoding="utf-8")


def policy_store() -> DocumentStore[PolicyDocument]:
    """Return the store of this service's one kind of document."""
    return DocumentStore("sla_policies", parse_policies, default_policies_text())


def _cross_errors(model: DocumentModel) -> Iterator[dict[str, str]]:
    """Yield what no single field can know: doubled ids, names that lead nowhere, conditions nobody can meet."""
    for name, items in (("stages", model.stages), ("calendars", model.calendars), ("policies", model.policies)):
        ids = [item.id for item in items]
        for index, item_id in enumerate(ids):
            if item_id in ids[:index]:
                yield _as_error((name, index, "id"), "used twice")
    stages = {stage.id: stage for stage in model.stages}
    calendars = {calendar.id for calendar in model.calendars}
    for index, policy in enumerate(model.policies):
        if policy.calendar not in calendars:
            yield _as_error(("policies", index, "calendar"), "no such calendar")
        stage = stages.get(policy.stage)
        if stage is None:
            yield _as_error(("policies", index, "stage"), "no such stage")
        elif stage.starts_with == "capture":
            yield from _capture_errors(index, policy)


def _capture_errors(index: int, policy: PolicyModel) -> Iterator[dict[str, str]]:
    if policy.starts_at != "received":
        yield _as_error(("policies", index, "starts_at"), "a capture stage starts when the submission is received")
    if policy.on_breach.action == "reassign":
        yield _as_error(("policies", index, "on_breach", "action"), "nobody has the lead yet: only notify is possible")
    for name in _LEAD_FIELDS:
        if getattr(policy.when, name) is not None:
            yield _as_error(("policies", index, "when", name), "not known yet when a submission is captured")


def _opening_errors(document: PolicyDocument) -> Iterator[dict[str, str]]:
    """Yield what only trying shows: holidays may take out all that the week allows (Sundays only, in a country that
    lists every Sunday as a holiday). The longest policy of each calendar speaks for its others."""
    calendars = list(document.calendars.values())
    closed = [not any(True for _ in calendar.open_windows(PROBES[0], PROBES[-1])) for calendar in calendars]
    for index, is_closed in enumerate(closed):
        if is_closed:
            yield _as_error(("calendars", index), "holidays and closed days leave no open time")
    longest: dict[str, tuple[timedelta, int]] = {}
    for index, policy in enumerate(document.policies):
        needed = (policy.target + (policy.escalate_after or timedelta(0)), index)
        longest[policy.calendar.calendar_id] = max(needed, longest.get(policy.calendar.calendar_id, needed))
    for calendar, is_closed in zip(calendars, closed, strict=True):
        if calendar.calendar_id not in longest or is_closed:
            continue
        _, index = longest[calendar.calendar_id]
        try:
            for probe in PROBES:
                plan_deadline(document.policies[index], probe)
        except NoOpenTime:
            yield _as_error(("policies", index, "target"), "the calendar does not open long enough within five years")


def _country_holidays(country: str, subdivision: str | None) -> Holidays:
    plain = public_holidays.country_holidays(country, subdiv=subdivision)
    if "en_US" not in plain.supported_languages:
        return plain
    return public_holidays.country_holidays(country, subdiv=subdivision, language="en_US")


def _set(values: list[str] | list[Literal["A", "B", "C", "D"]] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def _as_error(location: tuple[int | str, ...], detail: str) -> dict[str, str]:
    path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return {"pointer": path, "detail": detail.removeprefix("Value error, ")}
