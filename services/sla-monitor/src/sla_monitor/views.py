"""What the API answers: a clock with everything that explains it."""

from datetime import date, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, Field

from shared.http import Strict
from sla_monitor.domain.business_time import explain_span
from sla_monitor.domain.clocks import Clock
from sla_monitor.domain.policies import Deadline, Inputs, Policy, PolicyDocument, explain_choice


class WindowView(BaseModel):
    """Open from ``start`` to ``end``."""

    start: datetime
    end: datetime


class ClosureView(BaseModel):
    """A day that did not count."""

    day: date
    name: str


class ExplanationView(BaseModel):
    """How the deadline came about: the open time that was counted from start to deadline, and what was skipped."""

    calendar: str
    time_zone: str
    is_always_open: bool
    target_seconds: float
    counted_seconds: float
    segments: list[WindowView]
    is_truncated: bool
    holidays_skipped: list[ClosureView]
    text: str


class ConsideredView(BaseModel):
    """A policy that was looked at; ``lost_by`` is the condition that ruled it out, null for the chosen one."""

    policy_id: str
    lost_by: str | None


class InputsView(BaseModel):
    """What the policy was chosen by; null = not known at that stage."""

    source_kind: str
    source_key: str
    is_new_lead: bool
    country: str | None
    grade: str | None
    is_mql: bool | None
    points: float | None


class ChangeView(BaseModel):
    """A line of history: in ``state`` since ``at``, noticed at ``seen_at``."""

    state: str
    at: datetime
    seen_at: datetime
    action: str


class StopView(BaseModel):
    """What ended the clock: an activity, an owner, or a reason for which nothing is left to do."""

    at: datetime
    by: str
    ref: str | None
    is_met: bool


class ClockSummary(BaseModel):
    """A running clock in a list. ``time_left_seconds`` is negative once the deadline has passed."""

    clock_id: str
    lead_id: str
    stage: str
    state: str
    policy_id: str
    policy_version: str
    rep_id: str | None
    assignment_id: str | None
    started_at: datetime
    at_risk_at: datetime
    due_at: datetime
    escalate_at: datetime | None
    time_left_seconds: float | None


class ClockView(ClockSummary):
    """A clock with its decision: inputs, policies considered, the counted time, and its history."""

    received_at: datetime
    record_id: str
    stop: StopView | None
    is_open: bool
    inputs: InputsView
    policies_considered: list[ConsideredView]
    explanation: ExplanationView | None
    history: list[ChangeView]


class LeadSlaView(BaseModel):
    """All clocks of a lead, the newest first."""

    lead_id: str
    clocks: list[ClockView]


class ComplianceLine(BaseModel):
    """What became of the clocks of one policy that started in the period. ``compliance`` = met / (met + breached)."""

    stage: str
    policy_id: str
    started: int
    met: int
    breached: int
    met_late: int
    cancelled: int
    running: int
    compliance: float | None


class ComplianceView(BaseModel):
    """Compliance per policy."""

    start: datetime
    end: datetime
    policies: list[ComplianceLine]


class PreviewRequest(Strict):
    """Ask when a clock of a policy would be due."""

    policy_id: str = Field(max_length=100)
    start: AwareDatetime
    version: str | None = Field(default=None, pattern=r"^[0-9]{1,9}$", description="Default: the version in force.")


class PreviewView(BaseModel):
    """The deadline and how it came about."""

    policy_id: str
    policy_version: str
    started_at: datetime
    at_risk_at: datetime
    due_at: datetime
    escalate_at: datetime | None
    explanation: ExplanationView


def summarize_clock(clock: Clock, now: datetime) -> ClockSummary:
    return ClockSummary(**_summary(clock, now))


def describe_clock(clock: Clock, document: PolicyDocument, now: datetime) -> ClockView:
    """Return *clock* explained by the document version it was started under."""
    policy = document.find_policy(clock.policy_id)
    considered = explain_choice(document, clock.stage, clock.inputs)
    stop = clock.stop
    return ClockView(
        **_summary(clock, now),
        received_at=clock.received_at,
        record_id=clock.record_id,
        stop=None if stop is None else StopView(at=stop.at, by=stop.by, ref=stop.ref or None, is_met=stop.is_met),
        is_open=clock.is_open,
        inputs=_inputs(clock.inputs),
        policies_considered=[ConsideredView(policy_id=one.policy_id, lost_by=one.lost_by) for one in considered],
        explanation=None if policy is None else explain_deadline(policy, clock.deadline),
        history=[
            ChangeView(state=line.state, at=line.at, seen_at=line.seen_at, action=line.action) for line in clock.history
        ],
    )


def explain_deadline(policy: Policy, deadline: Deadline) -> ExplanationView:
    """Return the counted windows between start and deadline, and what was skipped."""
    calendar = policy.calendar
    span = explain_span(calendar, deadline.started_at, deadline.due_at)
    skipped = ", ".join(f"{closure.name} ({closure.day})" for closure in span.skipped)
    hours = "around the clock" if calendar.is_always_open else f"in the working hours of {calendar.calendar_id}"
    text = f"{_spoken(policy.target)} {hours}, in {len(span.counted)} stretch(es)"
    return ExplanationView(
        calendar=calendar.calendar_id,
        time_zone=calendar.time_zone,
        is_always_open=calendar.is_always_open,
        target_seconds=policy.target.total_seconds(),
        counted_seconds=span.total.total_seconds(),
        segments=[WindowView(start=window.start, end=window.end) for window in span.counted],
        is_truncated=span.is_truncated,
        holidays_skipped=[ClosureView(day=closure.day, name=closure.name) for closure in span.skipped],
        text=f"{text}; skipped: {skipped}" if skipped else text,
    )


def _summary(clock: Clock, now: datetime) -> dict[str, object]:
    return {
        "clock_id": clock.clock_id,
        "lead_id": clock.lead_id,
        "stage": clock.stage,
        "state": clock.state,
        "policy_id": clock.policy_id,
        "policy_version": clock.policy_version,
        "rep_id": clock.rep_id,
        "assignment_id": clock.assignment_id,
        "started_at": clock.deadline.started_at,
        "at_risk_at": clock.deadline.at_risk_at,
        "due_at": clock.deadline.due_at,
        "escalate_at": clock.deadline.escalate_at,
        "time_left_seconds": (clock.deadline.due_at - now).total_seconds() if clock.is_open else None,
    }


def _inputs(inputs: Inputs) -> InputsView:
    return InputsView(
        source_kind=inputs.source_kind,
        source_key=inputs.source_key,
        is_new_lead=inputs.is_new_lead,
        country=inputs.country,
        grade=inputs.grade,
        is_mql=inputs.is_mql,
        points=inputs.points,
    )


def _spoken(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if number)
