"""Reps: who they are, when they work, how much they can take."""

from datetime import date, datetime
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from routing.api.views import RepId, RepPath, Why
from routing.domain.roster import absence_of
from routing.reference import rep_of
from routing.repository import RoutingRepository
from routing.reps import RepStore, given_today
from shared.db import Record
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    Problem,
    Strict,
    decode_cursor,
    encode_cursor,
    require_scope,
)
from shared.ids import new_id
from shared.runtime import Runtime

MAX_TIME_OFF = 200
MAX_SHIFTS = 6
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _known_zone(name: str) -> str:
    if name not in _zones():
        message = "not a time zone of the IANA database, such as Europe/Berlin"
        raise ValueError(message)
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "Factory"}  # each machine's own


def _real_shifts(hours: dict[Weekday, list[tuple[str, str]]] | None) -> dict[Weekday, list[tuple[str, str]]] | None:
    for day, shifts in (hours or {}).items():
        for start, end in shifts:
            if start >= end:
                message = f"{day}: a shift ends after it starts; night work is two shifts, until 24:00 and from 00:00"
                raise ValueError(message)
        ordered = sorted(shifts)
        if any(after[0] < before[1] for before, after in pairwise(ordered)):
            message = f"{day}: shifts overlap"
            raise ValueError(message)
    return hours


TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
WorkingHours = Annotated[
    dict[Weekday, Annotated[list[tuple[ClockTime, ClockTime]], Field(max_length=MAX_SHIFTS)]] | None,
    AfterValidator(_real_shifts),
]
# Goes into the CRM's fields: no line breaks, no marks that turn the direction of text.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_ONE_LINE)]
_EMAIL = r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$"
Email = Annotated[str, StringConstraints(max_length=254, pattern=_EMAIL)]
Cap = Annotated[int, Field(ge=0, le=100_000)]


class TimeOffModel(Strict):
    """Days away, both inclusive, in the rep's time zone."""

    first_day: date
    last_day: date

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.last_day < self.first_day:
            message = "last_day is before first_day"
            raise ValueError(message)
        return self


class RepSettings(Strict):
    """``working_hours`` null: always at work; a weekday that is not listed: not at work. ``max_open``: leads the rep
    may have at once without having worked them; ``max_per_day``: leads given on one day of the rep's calendar."""

    name: Name
    email: Email | None = None
    team: RepId
    time_zone: TimeZone = "UTC"
    working_hours: WorkingHours = None
    time_off: list[TimeOffModel] = Field(default_factory=list, max_length=MAX_TIME_OFF)
    max_open: Cap | None = None
    max_per_day: Cap | None = None
    is_paused: bool = False


class NewRep(RepSettings):
    """``rep_id``: the id routing documents name; made up if left out."""

    rep_id: RepId | None = None


class RepChange(Strict):
    """What to change; what is left out stays. ``why`` is audited."""

    name: Name | None = None
    email: Email | None = None
    team: RepId | None = None
    time_zone: TimeZone | None = None
    working_hours: WorkingHours = None
    time_off: list[TimeOffModel] | None = Field(default=None, max_length=MAX_TIME_OFF)
    max_open: Cap | None = None
    max_per_day: Cap | None = None
    is_paused: bool | None = None
    why: Why | None = None


class RepView(RepSettings):
    """A rep as of now. ``absence``: why no lead comes by turn at this moment, caps aside; null: at work."""

    rep_id: str
    open_leads: int
    given_today: int
    absence: str | None


def build_router(runtime: Runtime[RoutingRepository]) -> APIRouter:
    """Return the routes about reps."""
    router = APIRouter(tags=["reps"], route_class=IdempotentRoute)

    @router.post("/v1/reps", status_code=201)
    async def create_rep(
        request: NewRep, response: Response, principal: Annotated[Principal, require_scope("routing:write")]
    ) -> RepView:
        """Add a rep. Pools that name the rep's team have it from the next lead on."""
        rep_id = request.rep_id or new_id()
        values = _values(request)
        async with runtime.work() as work:
            if not await RepStore(work.repo.sql).insert(rep_id, values, work.now):
                errors = [{"pointer": "/rep_id", "detail": "this id is taken"}]
                raise Problem(409, "rep_exists", "A rep has this id, or had it", errors=errors)
            work.audit(actor=principal.client_id, action="rep.created", subject=rep_id, after=_auditable(values))
        response.headers["Location"] = f"/v1/reps/{rep_id}"
        return await get_rep(rep_id)

    @router.get("/v1/reps", dependencies=[require_scope("leads:read")])
    async def list_reps(
        team: Annotated[str | None, Query(max_length=63)] = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Page[RepView]:
        """Return reps by id."""
        after = decode_cursor(cursor, size=1)[0] if cursor is not None else None
        async with runtime.read() as repo:
            rows = await RepStore(repo.sql).list_page(team=team, after=after, limit=limit + 1)
        now = runtime.clock.now()
        more = encode_cursor(rows[limit - 1]["rep_id"]) if len(rows) > limit else None
        return Page(items=[_view(row, now) for row in rows[:limit]], next_cursor=more)

    @router.get("/v1/reps/{rep_id}", dependencies=[require_scope("leads:read")])
    async def get_rep(rep_id: RepPath) -> RepView:
        """Return one rep."""
        async with runtime.read() as repo:
            row = await RepStore(repo.sql).find(rep_id)
        return _view(_found(row), runtime.clock.now())

    @router.patch("/v1/reps/{rep_id}")
    async def change_rep(
        rep_id: RepPath, request: RepChange, principal: Annotated[Principal, require_scope("routing:write")]
    ) -> RepView:
        """Change a rep: the next lead is decided with the new settings."""
        async with runtime.work() as work:
            store = RepStore(work.repo.sql)
            before = _values(RepSettings(**_settings(_found(await store.find(rep_id, is_locking=True)))))
            given = request.model_dump(mode="json", exclude_unset=True, exclude={"why"})
            values = _merged(before, given)
            await store.update(rep_id, values, work.now)
            work.audit(
                actor=principal.client_id,
                action="rep.changed",
                subject=rep_id,
                before=_auditable(before),
                after=_auditable(values),
                why=request.why,
            )
        return await get_rep(rep_id)

    @router.delete("/v1/reps/{rep_id}", status_code=204)
    async def remove_rep(rep_id: RepPath, principal: Annotated[Principal, require_scope("routing:write")]) -> None:
        """Take a rep out of every pool. The rep's leads stay until somebody moves them."""
        async with runtime.work() as work:
            store = RepStore(work.repo.sql)
            _found(await store.find(rep_id, is_locking=True))
            await store.remove(rep_id, work.now)
            work.audit(actor=principal.client_id, action="rep.removed", subject=rep_id)

    return router


def _found(row: Record | None) -> Record:
    if row is None:
        raise Problem(404, "rep_not_found", "No such rep")
    return row


def _values(settings: BaseModel) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude={"rep_id"})


def _merged(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Lay *given* over *before*; null only where null means something."""
    required = [name for name in ("name", "team", "time_zone", "time_off", "is_paused") if given.get(name, 0) is None]
    if required:
        errors = [{"pointer": f"/{name}", "detail": "must not be null"} for name in required]
        raise Problem(422, "invalid_request", "The request does not fit its schema", errors=errors)
    return {**before, **given}


def _auditable(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out who the person is: the audit is kept for good, personal data is not."""
    return {name: value for name, value in values.items() if name not in {"name", "email"}}


def _settings(row: Record) -> dict[str, Any]:
    settings = {name: row[name] for name in RepSettings.model_fields}
    for name in ("working_hours", "time_off"):
        if isinstance(settings[name], str):
            settings[name] = msgspec.json.decode(settings[name])
    return settings


def _view(row: Record, now: datetime) -> RepView:
    rep = rep_of(row)
    today = now.astimezone(ZoneInfo(rep.time_zone)).date()
    return RepView(
        **_settings(row),
        rep_id=row["rep_id"],
        open_leads=row["open_leads"],
        given_today=given_today(row, today),
        absence=absence_of(rep, now),
    )
