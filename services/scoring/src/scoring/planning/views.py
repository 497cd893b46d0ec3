"""What a plan says. Everywhere *before* is the live version and *after* the planned one, both replayed the same way."""

from datetime import datetime

from pydantic import BaseModel, Field

from scoring.domain.model import Grade
from scoring.domain.score import Half
from scoring.jobs.api import JobSummary


class PointsMoved(BaseModel):
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


class GradeChange(BaseModel):
    """How many leads have one letter before and one after; `before` equal to `after` stands here too."""

    before: Grade
    after: Grade
    leads: int


class Crossings(BaseModel):
    """Crossings of the MQL threshold in the period, one lead may cross more than once; hysteresis counted in."""

    entered: int
    left: int
    left_by_decay: int = Field(description="Those of `left` that no event caused, but time.")


class Qualified(BaseModel):
    """Leads that are MQLs before and after."""

    before: int
    after: int
    gained: int = Field(description="After and not before.")
    lost: int = Field(description="Before and not after.")


class Slice(BaseModel):
    """The comparison for the leads that have one value of something."""

    value: str = Field(
        description="`unknown` = not known; `(other)` = the values with the fewest leads, together, and"
        " industries of fewer than 5."
    )
    leads: int
    mean_before: float
    mean_after: float
    grade_changed: int
    qualified: Qualified = Field(description="At any instant of the period.")


class RuleMoved(BaseModel):
    """What the leads' points moved by because of one rule, signal, cap, floor or clamp of either version."""

    half: Half
    group: str | None = Field(description="Null for the clamp to 0..100.")
    source: str = Field(description="Id of the rule or signal; else `group_cap`, `floor` or `clamp`.")
    points: float
    leads: int = Field(description="Leads it moved.")


class PartMoved(BaseModel):
    """What one rule, signal, cap, floor or clamp gives or takes before and after."""

    half: Half
    group: str | None
    source: str
    before: float
    after: float


class Mover(BaseModel):
    """A lead that moves far, as of its last decision in the period."""

    lead_id: str
    at: datetime
    points_before: float
    points_after: float
    grade_before: Grade
    grade_after: Grade
    is_mql_before: bool
    is_mql_after: bool
    because: list[PartMoved]


class Unused(BaseModel):
    """A rule or signal of the planned version that gave or took nobody's points in the period."""

    half: Half
    group: str
    source: str


class DecidedBy(BaseModel):
    """How many leads' last decision in the period a version made."""

    version: str
    leads: int


class AgainstDecided(BaseModel):
    """The planned version beside what was really decided, with whatever version was in force then."""

    decided_by: list[DecidedBy]
    reproduced: int = Field(
        description="Leads whose last decision the live version, replayed, makes again to the hundredth."
    )
    points: PointsMoved
    grades: list[GradeChange]
    crossings: Crossings = Field(description="As decided.")


class PlanResult(BaseModel):
    """What a version would have decided about the leads of a period, beside the live version.

    Each lead is compared as of its last decision in the period, each with what was known of it at each instant.
    """

    version: str
    live_version: str
    since: datetime
    until: datetime
    leads: int = Field(description="Leads compared.")
    leads_in_period: int = Field(description="Leads that were scored in the period; more than `leads` if sampled.")
    leads_cut: int = Field(description="Leads compared that have so long a history that only its newest is replayed.")
    points: PointsMoved
    grade_changed: int
    grades: list[GradeChange]
    crossings_before: Crossings
    crossings_after: Crossings
    qualified: Qualified = Field(description="Leads that are MQLs at any instant of the period.")
    qualified_at_end: Qualified = Field(description="Leads that are MQLs when the period ends.")
    by_source: list[Slice]
    by_source_kind: list[Slice]
    by_country: list[Slice]
    by_company_size: list[Slice]
    by_industry: list[Slice]
    rules: list[RuleMoved] = Field(description="What the points moved because of, most first.")
    top_movers: list[Mover]
    never_fired: list[Unused]
    against_decided: AgainstDecided


class PlanView(JobSummary):
    """A plan with what came out."""

    result: PlanResult | None = Field(description="What came out; null unless the state is done.")
