"""What the routes that explain a score answer."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from scoring.domain.counterfactual import Change, Counterfactuals, Goal, Prospect, Suggestion
from scoring.domain.evidence import InputEvidence, RuleEvidence, SignalEvidence
from scoring.domain.forecast import Fall, Forecast, Limit, Outlook
from scoring.domain.inputs import DERIVED_FROM
from scoring.domain.model import Grade
from scoring.domain.points import to_points
from scoring.domain.score import Half
from shared.contracts import ActivityKind

_SECONDS_A_DAY = 86_400


class RecordView(BaseModel):
    """The submission record that brought a value."""

    submission_id: str
    record_id: str
    source_key: str
    source_kind: str
    received_at: datetime


class InputView(BaseModel):
    """A value that rules looked at, and where it came from."""

    name: str = Field(description="As in the model document: lead.employees, facts.seniority.")
    value: str | None = Field(description="Null = not known.")
    derived_from: list[str] = Field(description="What enrichment concluded it from; empty for what a sender said.")
    note: str | None = Field(description="Enrichment's code for why it is not known, or is what it is.")
    record: RecordView = Field(description="The record with which the input became what it is.")
    known_at: datetime = Field(description="When scoring knew that.")
    is_since: bool = Field(description="False = it was so in the oldest record looked at, and maybe before.")

    @classmethod
    def of(cls, evidence: InputEvidence) -> Self:
        """Return the view of *evidence*."""
        origin = evidence.origin
        return cls(
            name=evidence.name,
            value=evidence.value,
            derived_from=list(evidence.derived_from),
            note=evidence.note,
            record=RecordView(
                submission_id=origin.submission_id,
                record_id=origin.record_id,
                source_key=origin.source_key,
                source_kind=origin.source_kind,
                received_at=origin.received_at,
            ),
            known_at=evidence.known_at,
            is_since=evidence.is_since,
        )


class RuleEvidenceView(BaseModel):
    """A rule that gave or took points, with its condition in words."""

    half: Half
    group: str
    source: str = Field(description="Id of the rule in the model document.")
    condition: str
    inputs: list[str] = Field(description="Names of the inputs it looked at.")

    @classmethod
    def of(cls, evidence: RuleEvidence) -> Self:
        """Return the view of *evidence*."""
        rule = evidence.rule
        return cls(
            half=evidence.half,
            group=evidence.group,
            source=rule.rule_id,
            condition=rule.wording,
            inputs=[field.name for field in rule.inputs],
        )


class ActivityView(BaseModel):
    """An activity that counts."""

    activity_id: str
    kind: ActivityKind
    occurred_at: datetime
    known_at: datetime
    detail: dict[str, str] = Field(description="Those details that the signal looked at.")
    points: float = Field(
        description="What is left of it after decay. A signal's sum is rounded to hundredths, its parts are not."
    )


class SignalEvidenceView(BaseModel):
    """The activities behind a signal."""

    half: Half
    group: str
    source: str = Field(description="Id of the signal in the model document.")
    is_colleagues: bool = Field(description="Whether colleagues did it, not the lead.")
    half_life_days: float | None = Field(description="Null = does not decay.")
    activities: list[ActivityView] = Field(description="Those that count, newest first, at most 20.")
    more: int = Field(description="How many more count.")
    left_out: int = Field(description="How many its look-back window or frequency cap does not let count.")

    @classmethod
    def of(cls, evidence: SignalEvidence) -> Self:
        """Return the view of *evidence*."""
        signal = evidence.signal
        looked_at = {key for key, _ in signal.where}
        return cls(
            half=evidence.half,
            group=evidence.group,
            source=signal.signal_id,
            is_colleagues=signal.of_account,
            half_life_days=None if signal.half_life is None else signal.half_life / _SECONDS_A_DAY,
            activities=[
                ActivityView(
                    activity_id=each.activity.activity_id,
                    kind=each.activity.kind,
                    occurred_at=each.activity.occurred_at,
                    known_at=each.activity.known_at,
                    detail={key: text for key, text in each.activity.detail.items() if key in looked_at},
                    points=round(each.worth / 100, 6),
                )
                for each in evidence.newest
            ],
            more=evidence.more,
            left_out=evidence.left_out,
        )


class EvidenceView(BaseModel):
    """What a score was made from. Rules and signals are those of its lines, in the same order."""

    lead_id: str
    at: datetime
    model_version: str
    rules: list[RuleEvidenceView]
    inputs: list[InputView] = Field(description="Each input that one of the rules looked at, once.")
    signals: list[SignalEvidenceView]


class ChangeView(BaseModel):
    """An input that would have to be something else."""

    input: str
    now: str | int | bool | None = Field(description="Null = not known.")
    then: str | int | bool | None = Field(description="An example that is enough; the condition says what else is.")
    derived_from: list[str] = Field(description="What enrichment concludes it from.")

    @classmethod
    def of(cls, change: Change) -> Self:
        """Return the view of *change*."""
        return cls(
            input=change.name,
            now=change.before,
            then=change.after,
            derived_from=list(DERIVED_FROM.get(change.name, ())),
        )


class SuggestionView(BaseModel):
    """One signal happening now, or one rule coming to apply, and the score then."""

    kind: Literal["signal", "rule"]
    group: str
    source: str = Field(description="Id of the signal or rule in the model document.")
    steps: int = Field(description="How often the activity happens, or how many inputs change.")
    activity: ActivityKind | None = Field(description="What happens (a signal).")
    detail: dict[str, str] = Field(description="Details that the activity needs.")
    is_colleagues: bool = Field(description="Whether a colleague does it, not the lead.")
    condition: str | None = Field(description="What would have to hold (a rule).")
    changes: list[ChangeView] = Field(description="Inputs that would have to be something else (a rule).")
    points: float = Field(description="The score then.")
    fit: float
    grade: Grade
    excess: float = Field(description="Points above what the goal needs; below 0 = still missing.")

    @classmethod
    def of(cls, suggestion: Suggestion) -> Self:
        """Return the view of *suggestion*."""
        is_signal = suggestion.kind is not None
        return cls(
            kind="signal" if is_signal else "rule",
            group=suggestion.group,
            source=suggestion.source,
            steps=suggestion.steps,
            activity=suggestion.kind,
            detail=dict(suggestion.detail),
            is_colleagues=suggestion.is_colleagues,
            condition=None if is_signal else suggestion.wording,
            changes=[ChangeView.of(change) for change in suggestion.changes],
            points=to_points(suggestion.result.points),
            fit=to_points(suggestion.result.fit),
            grade=suggestion.result.grade,
            excess=to_points(suggestion.excess),
        )


class ProspectView(BaseModel):
    """How a goal can be reached by one signal or one rule."""

    goal: Goal
    missing: float = Field(description="Points missing now; 0 if only the grade stands in the way.")
    options: list[SuggestionView] = Field(
        description="At most 5, cheapest first: fewest steps, then fewest points above need."
    )
    closest: SuggestionView | None = Field(description="If no option: what comes nearest, if anything helps.")
    reason: str | None = Field(description="If no option: why.")

    @classmethod
    def of(cls, prospect: Prospect | None) -> Self | None:
        """Return the view of *prospect*."""
        if prospect is None:
            return None
        return cls(
            goal=prospect.goal,
            missing=to_points(prospect.missing),
            options=[SuggestionView.of(each) for each in prospect.options],
            closest=None if prospect.closest is None else SuggestionView.of(prospect.closest),
            reason=prospect.reason,
        )


class FallView(BaseModel):
    """When decay takes the score below a limit."""

    limit: Limit = Field(description="mql_from: where a lead becomes an MQL; mql_until: where one stops being one.")
    points: float
    at: datetime | None = Field(description="First instant below; `at` of the answer = below already; null = never.")

    @classmethod
    def of(cls, fall: Fall) -> Self:
        """Return the view of *fall*."""
        return cls(limit=fall.limit, points=to_points(fall.hundredths), at=fall.at)


class OutlookPointView(BaseModel):
    """The score so many days later if nothing happens."""

    days: int
    at: datetime
    points: float
    engagement: float
    is_mql: bool

    @classmethod
    def of(cls, outlook: Outlook) -> Self:
        """Return the view of *outlook*."""
        return cls(
            days=outlook.days,
            at=outlook.at,
            points=to_points(outlook.points),
            engagement=to_points(outlook.engagement),
            is_mql=outlook.is_mql,
        )


class OutlookView(BaseModel):
    """What time alone will do to a score, and what would raise it."""

    lead_id: str
    at: datetime
    model_version: str
    points: float
    grade: Grade
    is_mql: bool
    mql_ends_at: datetime | None = Field(description="When decay alone ends the MQL state; null = never, or no MQL.")
    falls: list[FallView]
    forecast: list[OutlookPointView]
    to_mql: ProspectView | None = Field(description="Null: it is an MQL.")
    to_next_grade: ProspectView | None = Field(description="Null: it has the best grade.")

    @staticmethod
    def fields_of(forecast: Forecast, counterfactuals: Counterfactuals) -> dict[str, Any]:
        """Return the values that describe both."""
        return {
            "mql_ends_at": forecast.mql_ends_at,
            "falls": [FallView.of(each) for each in forecast.falls],
            "forecast": [OutlookPointView.of(each) for each in forecast.outlooks],
            "to_mql": ProspectView.of(counterfactuals.mql),
            "to_next_grade": ProspectView.of(counterfactuals.next_grade),
        }
