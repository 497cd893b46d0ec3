"""Policies: what must happen to which leads by when, and what is done when it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import msgspec

from sla_monitor.domain.business_time import add_each
from sla_monitor.domain.calendars import Calendar

StartsAt = Literal["received", "assigned"]
BreachAction = Literal["notify", "reassign"]


class Inputs(msgspec.Struct, frozen=True, array_like=True):
    """What a policy was chosen by. None = not known at that stage, which never satisfies a condition."""

    source_kind: str
    source_key: str
    is_new_lead: bool
    country: str | None = None
    grade: str | None = None
    is_mql: bool | None = None
    points: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The leads a policy is for: all stated conditions hold. An empty segment is every lead."""

    source_kinds: frozenset[str] | None = None
    source_keys: frozenset[str] | None = None
    countries: frozenset[str] | None = None
    grades: frozenset[str] | None = None
    is_mql: bool | None = None
    is_new_lead: bool | None = None
    points_at_least: float | None = None
    points_below: float | None = None

    def find_mismatch(self, inputs: Inputs) -> str | None:
        """Return the first condition that *inputs* does not satisfy, or None if it satisfies all."""
        if self.source_kinds is not None and inputs.source_kind not in self.source_kinds:
            return "source_kind"
        if self.source_keys is not None and inputs.source_key not in self.source_keys:
            return "source_key"
        if self.countries is not None and inputs.country not in self.countries:
            return "country"
        if self.grades is not None and inputs.grade not in self.grades:
            return "grade"
        if self.is_mql is not None and inputs.is_mql is not self.is_mql:
            return "is_mql"
        if self.is_new_lead is not None and inputs.is_new_lead is not self.is_new_lead:
            return "is_new_lead"
        if self.points_at_least is not None and (inputs.points is None or inputs.points < self.points_at_least):
            return "points_at_least"
        if self.points_below is not None and (inputs.points is None or inputs.points >= self.points_below):
            return "points_below"
        return None


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the way that is timed.

    ``starts_with`` capture: from the submission to an owner. ``starts_with`` owner: from an owner (again for each new
    one) to the first activity in ``met_by``.
    """

    stage_id: str
    starts_with: Literal["capture", "owner"]
    met_by: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """Durations are business time of ``calendar``, counted from the clock's start; ``escalate_after`` from the due."""

    policy_id: str
    stage: str
    segment: Segment
    calendar: Calendar
    starts_at: StartsAt
    target: timedelta
    at_risk_after: timedelta
    on_breach: BreachAction = "notify"
    max_reassignments: int = 0
    escalate_after: timedelta | None = None

    @cached_property
    def durations(self) -> tuple[timedelta, ...]:
        """Return how long after the start a clock is at risk, due, and escalated (if it ever is)."""
        if self.escalate_after is None:
            return self.at_risk_after, self.target
        return self.at_risk_after, self.target, self.target + self.escalate_after


@dataclass(frozen=True)
class PolicyDocument:
    """A compiled policy document. The first policy of a stage whose segment fits a lead is the lead's."""

    stages: Mapping[str, Stage]
    policies: tuple[Policy, ...]
    calendars: Mapping[str, Calendar]

    @cached_property
    def capture_stages(self) -> tuple[Stage, ...]:
        """Return the stages that begin with a capture."""
        return tuple(stage for stage in self.stages.values() if stage.starts_with == "capture")

    @cached_property
    def owner_stages(self) -> tuple[Stage, ...]:
        """Return the stages that begin with an owner."""
        return tuple(stage for stage in self.stages.values() if stage.starts_with == "owner")

    @cached_property
    def touch_kinds(self) -> frozenset[str]:
        """Return every activity that meets some stage."""
        return frozenset().union(*(stage.met_by for stage in self.stages.values()))

    @cached_property
    def of_stage(self) -> dict[str, tuple[Policy, ...]]:
        """Return the policies of each stage, in the order in which they are looked at."""
        return {
            stage_id: tuple(policy for policy in self.policies if policy.stage == stage_id) for stage_id in self.stages
        }

    @cached_property
    def _by_id(self) -> dict[str, Policy]:
        return {policy.policy_id: policy for policy in self.policies}

    def find_policy(self, policy_id: str) -> Policy | None:
        """Return the policy, or None."""
        return self._by_id.get(policy_id)


class Deadline(msgspec.Struct, frozen=True):
    """The instants of one clock, UTC."""

    started_at: datetime
    at_risk_at: datetime
    due_at: datetime
    escalate_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """A policy that was looked at, and the first of its conditions that ruled it out (None: it was chosen)."""

    policy_id: str
    lost_by: str | None


def choose_policy(document: PolicyDocument, stage_id: str, inputs: Inputs) -> Policy | None:
    """Return the first policy of the stage whose segment fits, or None: then nothing is timed."""
    for policy in document.of_stage.get(stage_id, ()):
        if policy.segment.find_mismatch(inputs) is None:
            return policy
    return None


def explain_choice(document: PolicyDocument, stage_id: str, inputs: Inputs) -> list[Considered]:
    """Return the policies of the stage in the order they were looked at, up to the chosen one."""
    considered = []
    for policy in document.of_stage.get(stage_id, ()):
        considered.append(Considered(policy.policy_id, policy.segment.find_mismatch(inputs)))
        if considered[-1].lost_by is None:
            break
    return considered


def plan_deadline(policy: Policy, start: datetime) -> Deadline:
    """Return the instants at which a clock of *policy* that starts at *start* changes by itself."""
    return Deadline(start, *add_each(policy.calendar, start, policy.durations))
