"""The scoring service's routes for versions of the model and their plans, as ``leadrail model`` calls them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from shared.service_client import ServiceClient, converted

VERSIONS = "/v1/documents/scoring_model/versions"
ENDED = {"done", "failed", "cancelled"}


class ModelVersion(msgspec.Struct, frozen=True):
    """A stored version of the model."""

    version: int
    created_at: datetime
    created_by: str
    why: str
    is_live: bool


class Points(msgspec.Struct, frozen=True):
    """Points after minus points before, over all leads."""

    mean_before: float
    mean_after: float
    mean: float
    p10: float
    p50: float
    p90: float
    leads_up: int
    leads_down: int
    leads_unmoved: int


class GradeChange(msgspec.Struct, frozen=True):
    """Leads with one letter before and one after."""

    before: str
    after: str
    leads: int


class Crossings(msgspec.Struct, frozen=True):
    """Crossings of the MQL threshold."""

    entered: int
    left: int
    left_by_decay: int


class Qualified(msgspec.Struct, frozen=True):
    """MQLs before and after."""

    before: int
    after: int
    gained: int
    lost: int


class Slice(msgspec.Struct, frozen=True):
    """The comparison for the leads with one value."""

    value: str
    leads: int
    mean_before: float
    mean_after: float
    grade_changed: int
    qualified: Qualified


class RuleMoved(msgspec.Struct, frozen=True):
    """What moved because of one rule, signal or limit."""

    half: str
    group: str | None
    source: str
    points: float
    leads: int


class PartMoved(msgspec.Struct, frozen=True):
    """What one rule, signal or limit gives one lead before and after."""

    half: str
    group: str | None
    source: str
    before: float
    after: float


class Mover(msgspec.Struct, frozen=True):
    """A lead that moves far."""

    lead_id: str
    points_before: float
    points_after: float
    grade_before: str
    grade_after: str
    is_mql_before: bool
    is_mql_after: bool
    because: list[PartMoved]


class Unused(msgspec.Struct, frozen=True):
    """A rule or signal that nobody met."""

    half: str
    group: str
    source: str


class PlanResult(msgspec.Struct, frozen=True):
    """What a version would have decided, beside the live one."""

    version: str
    live_version: str
    since: datetime
    until: datetime
    leads: int
    leads_in_period: int
    points: Points
    grade_changed: int
    grades: list[GradeChange]
    crossings_before: Crossings
    crossings_after: Crossings
    qualified: Qualified
    qualified_at_end: Qualified
    by_source: list[Slice]
    by_source_kind: list[Slice]
    by_country: list[Slice]
    by_company_size: list[Slice]
    by_industry: list[Slice]
    rules: list[RuleMoved]
    top_movers: list[Mover]
    never_fired: list[Unused]


class Plan(msgspec.Struct, frozen=True):
    """A plan, and how far it is."""

    job_id: str
    state: str
    asked_at: datetime
    done: int
    total: int
    error: str | None
    result: PlanResult | None = None


class Backtest(msgspec.Struct, frozen=True):
    """How well a version told leads with the outcome from those without, beside the live one."""

    job_id: str
    since: datetime
    until: datetime
    outcome: str
    leads: int
    positives: int
    auc: float
    pr_auc: float
    brier: float | None
    ece: float | None
    live_version: str | None
    auc_difference: float | None
    ranks: str | None


class ModelClient(ServiceClient):
    """Calls the scoring service with one API key. Every method's errors: `Refusal`, `NoAnswer`."""

    def list_versions(self) -> Iterator[ModelVersion]:
        """Yield versions of the model, newest first."""
        return self.items(VERSIONS, {}, ModelVersion)

    def create_draft(self, body: str, why: str) -> ModelVersion:
        """Store a draft as the next version."""
        return converted(self.call("POST", VERSIONS, json={"body": body, "why": why}), ModelVersion)

    def apply(self, version: str, why: str) -> ModelVersion:
        """Put a version into force."""
        path = f"{VERSIONS}/{quote(version, safe='')}/apply"
        return converted(self.call("POST", path, json={"why": why}), ModelVersion)

    def start_plan(self, version: str, *, days: int, until: str | None, sample: int | None) -> Plan:
        """Ask for a plan."""
        asked = {"version": version, "days": days, "until": until, "sample": sample}
        body = {name: value for name, value in asked.items() if value is not None}
        return converted(self.call("POST", "/v1/plans", json=body), Plan)

    def get_plan(self, plan_id: str) -> tuple[Plan, dict[str, Any]]:
        """Return a plan, and all of it as it was answered."""
        answer = self.call("GET", f"/v1/plans/{plan_id}")
        return converted(answer, Plan), answer

    def find_latest_plan(self, version: str) -> Plan | None:
        """Return the latest plan of a version that has a result."""
        page = self.call("GET", "/v1/plans", params={"version": version, "state": "done", "limit": 1})
        latest = converted(page["items"], list[Plan])
        return self.get_plan(latest[0].job_id)[0] if latest else None

    def find_latest_backtest(self, version: str) -> Backtest | None:
        """Return the latest finished backtest of a version."""
        page = self.call("GET", "/v1/backtests", params={"version": version, "limit": 1})
        latest = converted(page["items"], list[Backtest])
        return latest[0] if latest else None

    def cancel_plan(self, plan_id: str) -> None:
        """Cancel a plan that waits or runs."""
        self.call("POST", f"/v1/jobs/{plan_id}/cancel")
