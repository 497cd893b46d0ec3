"""The shape of a scoring model document (YAML): what may stand where, with types and bounds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.contracts import ActivityKind

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Words = Annotated[list[Text], Field(min_length=1, max_length=500)]
Points = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
HalfLifeDays = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)]
LookBackDays = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)]


class Part(BaseModel):
    """Base of all parts: an unknown field or a wrong type is an error, never a guess."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ConditionPart(Part):
    """A test of one field, or a combination of tests. Exactly one test, or one of all, any, none."""

    field: Text | None = None
    is_in: Words | None = None
    has_words: Words | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    is_true: bool | None = None
    is_set: bool | None = None
    all: Annotated[list["ConditionPart"], Field(min_length=1, max_length=50)] | None = None
    any: Annotated[list["ConditionPart"], Field(min_length=1, max_length=50)] | None = None
    none: Annotated[list["ConditionPart"], Field(min_length=1, max_length=50)] | None = None


class ScoredPart(Part):
    """Something that gives or takes points, under an id that is unique in its group."""

    id: Name
    points: Points


class RulePart(ScoredPart):
    """Points for who a lead is."""

    when: ConditionPart


class FrequencyPart(Part):
    """At most so many occurrences count in so many days."""

    times: int = Field(ge=1, le=1000)
    days: int = Field(default=1, ge=1, le=365)


class SignalPart(ScoredPart):
    """Points per occurrence of an activity, optionally only where its details have one of the given values.

    An occurrence halves every ``half_life_days`` and counts while it is younger than ``look_back_days``; of those
    that do, ``at_most`` lets the latest count.
    """

    activity: ActivityKind
    where: Annotated[dict[Text, Words], Field(max_length=20)] = {}
    half_life_days: HalfLifeDays | None = None
    look_back_days: LookBackDays | None = None
    at_most: FrequencyPart | None = None


class NegativeSignalPart(ScoredPart):
    """Points taken per occurrence of an activity. Negatives do not decay, so there is no half-life to give."""

    activity: ActivityKind
    where: Annotated[dict[Text, Words], Field(max_length=20)] = {}
    at_most: FrequencyPart | None = None


class FitPart(Part):
    """A group of fit rules under one cap."""

    cap: Points
    choose: Literal["best", "sum"] = "best"
    rules: Annotated[list[RulePart], Field(min_length=1, max_length=200)]


class EngagementPart(Part):
    """A group of engagement signals under one cap."""

    cap: Points
    signals: Annotated[list[SignalPart], Field(min_length=1, max_length=100)]


class NegativePart(Part):
    """A group that takes points away, down to its floor."""

    floor: Points
    rules: Annotated[list[RulePart], Field(max_length=200)] = []
    signals: Annotated[list[NegativeSignalPart], Field(max_length=100)] = []


class DecayPart(Part):
    """Half-life and look-back window of signals that do not name their own. No window: occurrences only fade."""

    half_life_days: HalfLifeDays = 14
    look_back_days: LookBackDays | None = None


class GradesPart(Part):
    """The fit each letter starts at; below C is D."""

    A: Points
    B: Points
    C: Points


class QualificationPart(Part):
    """When a lead is an MQL."""

    threshold: Points
    hysteresis: Points
    grades: Annotated[list[Literal["A", "B", "C", "D"]], Field(min_length=1, max_length=4)]


class ModelDocument(Part):
    """A scoring model.

    ``account``: what colleagues of a lead did counts for it, under a cap of its own; left out: it does not.
    ``ranking``: what leads are ordered by: their points, or the probability that a predictive model gives them.
    """

    name: Name
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    decay: DecayPart = DecayPart()
    grades: GradesPart
    mql: QualificationPart
    ranking: Literal["points", "probability"] = "points"
    fit: Annotated[dict[Name, FitPart], Field(max_length=50)]
    engagement: Annotated[dict[Name, EngagementPart], Field(max_length=50)]
    account: EngagementPart | None = None
    negative: Annotated[dict[Name, NegativePart], Field(max_length=50)]
