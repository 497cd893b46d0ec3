"""The service's routes."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from shared.documents import DocumentNotFound
from shared.http import Cursor, Limit, Page, Problem, decode_cursor, encode_cursor, require_scope
from shared.runtime import Runtime
from sla_monitor.domain.calendars import NoOpenTime
from sla_monitor.domain.clocks import State
from sla_monitor.domain.policies import plan_deadline
from sla_monitor.repository import SlaRepository
from sla_monitor.views import (
    ClockSummary,
    ComplianceLine,
    ComplianceView,
    LeadSlaView,
    PreviewRequest,
    PreviewView,
    describe_clock,
    explain_deadline,
    summarize_clock,
)

LONGEST_PERIOD = timedelta(days=400)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

Name = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


def build_router(runtime: Runtime[SlaRepository]) -> APIRouter:
    """Return the routes, bound to *runtime*."""
    router = APIRouter(tags=["sla"])

    @router.get("/v1/leads/{lead_id}/sla", dependencies=[require_scope("leads:read")])
    async def get_lead_sla(lead_id: UUID) -> LeadSlaView:
        """All clocks of a lead: state, history, policy, and how each deadline came about."""
        async with runtime.read() as repo:
            file = await repo.find_file(str(lead_id))
            if file is None:
                raise Problem(404, "lead_not_found", "No such lead")
            rules = await repo.get_rules([file])
        clocks = sorted(
            file.clocks.values(), key=lambda clock: (clock.deadline.started_at, clock.clock_id), reverse=True
        )
        now = runtime.clock.now()
        views = [describe_clock(clock, rules.documents[clock.policy_version], now) for clock in clocks]
        return LeadSlaView(lead_id=str(lead_id), clocks=views)

    @router.get("/v1/sla/clocks", dependencies=[require_scope("leads:read")])
    async def list_clocks(
        state: Annotated[State | None, Query()] = None,
        policy: Name = None,
        rep: Name = None,
        stage: Name = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[ClockSummary]:
        """Clocks for which something still has to happen, the least time left first (overdue ones lead)."""
        wanted = {"state": state, "policy_id": policy, "rep_id": rep, "stage": stage}
        filters = {column: value for column, value in wanted.items() if value is not None}
        async with runtime.read() as repo:
            clocks = await repo.list_open_clocks(filters, _after(cursor), limit + 1)
        now = runtime.clock.now()
        page = clocks[:limit]
        is_last = len(clocks) <= limit
        return Page[ClockSummary](
            items=[summarize_clock(clock, now) for clock in page],
            next_cursor=None
            if is_last
            else encode_cursor(page[-1].deadline.due_at.isoformat(), page[-1].lead_id, page[-1].clock_id),
        )

    @router.get("/v1/sla/compliance", dependencies=[require_scope("leads:read")])
    async def get_compliance(start: AwareDatetime | None = None, end: AwareDatetime | None = None) -> ComplianceView:
        """Met and breached per policy, of the clocks that started in [start, end); default: the last 7 days."""
        end = end or runtime.clock.now()
        end = min(max(end, EARLIEST), LATEST)
        start = start or end - timedelta(days=7)
        if not timedelta(0) < end - start <= LONGEST_PERIOD:
            raise Problem(422, "invalid_period", "The period cannot be reported", errors=[
                {"pointer": "query:/end", "detail": f"later than start, by at most {LONGEST_PERIOD.days} days"}
            ])  # fmt: skip
        async with runtime.read() as repo:
            rows = await repo.list_compliance(start, end)
        lines = []
        for row in rows:
            decided = row["met"] + row["breached"]
            lines.append(ComplianceLine(**row, compliance=row["met"] / decided if decided else None))
        return ComplianceView(start=start, end=end, policies=lines)

    @router.post("/v1/sla/preview", dependencies=[require_scope("config:plan")])
    async def preview_deadline(wish: PreviewRequest) -> PreviewView:
        """When a clock of a policy would be due, and why. Starts nothing."""
        async with runtime.read() as repo:
            version = wish.version or repo.live_policies.version
            try:
                document = await repo.get_policies(version)
            except DocumentNotFound as error:
                raise Problem(404, "version_not_found", "No such version of the policy document") from error
        policy = document.find_policy(wish.policy_id)
        if policy is None:
            raise Problem(404, "policy_not_found", "No such policy in this version")
        start = wish.start.astimezone(UTC)
        if not EARLIEST <= start < LATEST:
            raise Problem(422, "invalid_request", "The request does not fit its schema", errors=[
                {"pointer": "/start", "detail": "between the years 2000 and 2100"}
            ])  # fmt: skip
        try:
            deadline = plan_deadline(policy, start)
        except NoOpenTime as error:
            raise Problem(422, "no_open_time", "The calendar does not open long enough after this start") from error
        return PreviewView(
            policy_id=policy.policy_id,
            policy_version=version,
            started_at=deadline.started_at,
            at_risk_at=deadline.at_risk_at,
            due_at=deadline.due_at,
            escalate_at=deadline.escalate_at,
            explanation=explain_deadline(policy, deadline),
        )

    return router


def _after(cursor: str | None) -> tuple[datetime, str, str] | None:
    if cursor is None:
        return None
    due_at, lead_id, clock_id = decode_cursor(cursor, size=3)
    instant = _instant(due_at)
    if instant is None or not _is_uuid(lead_id) or "\x00" in clock_id:
        raise Problem(422, "invalid_cursor", "This cursor was not made by this list", errors=[
            {"pointer": "query:/cursor", "detail": "use next_cursor of the page before"}
        ])  # fmt: skip
    return instant, lead_id, clock_id


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
