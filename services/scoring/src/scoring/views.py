"""What the API takes and gives."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from scoring.domain.decision import Trigger
from scoring.domain.model import Grade
from scoring.domain.points import to_points
from scoring.domain.score import Half, Line, LineKind
from scoring.domain.standing import Standing
from scoring.prediction.views import PredictionView
from shared.contracts import ActivityKind, Department, EmailKind, Facts, Lead, Seniority
from shared.db import Record
from shared.http import Instant, Strict

Text = Annotated[str, StringConstraints(max_length=500)]


class LineView(BaseModel):
    """One contribution. The points of all lines add up to the score."""

    kind: LineKind = Field(description="rule and signal gave or took points; the others say what limited them.")
    half: Half
    group: str | None
    source: str | None = Field(description="Id of the rule or signal in the model document.")
    points: float
    count: int | None = Field(description="Occurrences of a signal.")
    latest_at: datetime | None = Field(description="When the last of them counts from.")
    inputs: dict[str, str] = Field(description="What the rule looked at.")

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return the view of *line*."""
        return cls(
            kind=line.kind,
            half=line.half,
            group=line.group,
            source=line.source,
            points=to_points(line.hundredths),
            count=line.count,
            latest_at=line.latest_at,
            inputs=line.inputs,
        )


class DecisionView(BaseModel):
    """A score as it was decided and sent to the next service."""

    lead_id: str
    decision_id: str
    trigger: Trigger
    scored_at: datetime
    model_version: str
    points: float
    raw: float
    fit: float
    engagement: float
    grade: Grade
    is_mql: bool

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the view of a stored row."""
        values: dict[str, Any] = dict(row)
        return cls(**{**values, "lead_id": str(row["lead_id"]), "decision_id": str(row["decision_id"])})


class ListedScore(DecisionView):
    """A lead's latest score in a list, with what was predicted then."""

    probability: float | None = Field(description="By the predictive model; null if none was live.")
    prediction_version: int | None


class ExplainedDecision(DecisionView):
    """The decision with the explanation that was stored with it."""

    lines: list[LineView] | None = Field(description="Null for a decision that is not the latest of its lead.")


class StandingView(BaseModel):
    """A score at an instant, explained."""

    at: datetime
    model_version: str
    points: float = Field(description="0..100, after clamping.")
    raw: float = Field(description="Before clamping: fit + engagement + negative.")
    fit: float
    engagement: float
    negative: float
    grade: Grade
    is_mql: bool
    mql_ends_at: datetime | None = Field(description="When decay alone ends the MQL state; null = never, or no MQL.")
    lines: list[LineView]

    @staticmethod
    def fields_of(standing: Standing, at: datetime, version: str) -> dict[str, Any]:
        """Return the values that describe *standing*."""
        result = standing.result
        return {
            "at": at,
            "model_version": version,
            "points": to_points(result.points),
            "raw": to_points(result.raw),
            "fit": to_points(result.fit),
            "engagement": to_points(result.engagement),
            "negative": to_points(result.negative),
            "grade": result.grade,
            "is_mql": standing.is_mql,
            "mql_ends_at": standing.mql_ends_at,
            "lines": [LineView.of(line) for line in result.lines],
        }


class LeadScoreView(StandingView):
    """A lead's score at an instant by formula, and the decision that stood then."""

    lead_id: str
    prediction: PredictionView | None = Field(
        default=None,
        description="What the predictive model that is live now says of the lead as it was known at `at`, beside the"
        " rules; null if none is live.",
    )
    decided: ExplainedDecision = Field(
        description="The last decision up to this instant: what other services acted on."
    )


class PreviewActivity(Strict):
    """Something the lead did."""

    kind: ActivityKind
    occurred_at: Instant
    detail: dict[Text, Text] = Field(default={}, max_length=50)


class PreviewRequest(Strict):
    """A lead that need not exist."""

    title: Text | None = None
    company: Text | None = None
    website: Text | None = None
    country: Text | None = None
    region: Text | None = None
    city: Text | None = None
    industry: Text | None = None
    language: Text | None = None
    employees: int | None = Field(default=None, ge=0)
    custom: dict[Text, Text] = Field(default={}, max_length=100)
    email_kind: EmailKind = "unknown"
    seniority: Seniority = "unknown"
    department: Department = "unknown"
    subject_kind: Literal["individual", "corporate"] = "individual"
    company_domain: Text | None = None
    is_competitor: bool = False
    activities: list[PreviewActivity] = Field(default=[], max_length=1000)
    at: Instant | None = Field(default=None, description="Instant to score at; now if not given.")
    model_version: Text | None = Field(default=None, description="A stored version; the live one if not given.")

    def lead(self) -> Lead:
        """Return the lead described."""
        return Lead(
            title=self.title,
            company=self.company,
            website=self.website,
            country=self.country,
            region=self.region,
            city=self.city,
            industry=self.industry,
            language=self.language,
            employees=self.employees,
            custom=self.custom,
        )

    def facts(self) -> Facts:
        """Return what is concluded about it."""
        return Facts(
            email_kind=self.email_kind,
            seniority=self.seniority,
            department=self.department,
            subject_kind=self.subject_kind,
            company_domain=self.company_domain,
            is_competitor=self.is_competitor,
        )
