"""From the YAML text of a scoring model to a model that runs, or to the list of what is wrong with it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from scoring.domain.condition import Condition, all_of, any_of, has_words, is_between, is_flag, is_in, is_set, none_of
from scoring.domain.fields import Field, find_field
from scoring.domain.model import (
    EngagementGroup,
    FitGroup,
    FrequencyCap,
    NegativeGroup,
    Qualification,
    Rule,
    ScoringModel,
    Signal,
)
from scoring.domain.points import to_hundredths
from scoring.model_rules import find_faults
from scoring.model_schema import (
    ConditionPart,
    EngagementPart,
    FitPart,
    FrequencyPart,
    ModelDocument,
    NegativePart,
    RulePart,
)
from shared.documents import DocumentInvalid, load_yaml

SECONDS_A_DAY = 86_400


def default_model_text() -> str:
    """Return the model this version of Leadrail ships with."""
    return files("scoring").joinpath("defaults/model.yaml").read_text(encoding="utf-8")


def parse_model(text: str) -> ScoringModel:
    """Return the model that *text* describes. Errors: `DocumentInvalid` with a JSON pointer for every fault."""
    try:
        document = ModelDocument.model_validate(load_yaml(text))
    except ValidationError as invalid:
        raise DocumentInvalid(
            errors=[{"pointer": _pointer(error["loc"]), "detail": error["msg"]} for error in invalid.errors()]
        ) from None
    if faults := find_faults(document):
        raise DocumentInvalid(errors=[{"pointer": pointer, "detail": detail} for pointer, detail in faults])
    return compile_model(document)


def compile_model(document: ModelDocument) -> ScoringModel:
    """Return a valid *document* in the form that scores."""
    grades, mql = document.grades, document.mql
    return ScoringModel(
        name=document.name,
        fit=tuple(_fit(name, group) for name, group in document.fit.items()),
        engagement=tuple(
            _engagement(name, group, document.decay.half_life_days) for name, group in document.engagement.items()
        ),
        negative=tuple(_negative(name, group) for name, group in document.negative.items()),
        grades=(("A", to_hundredths(grades.A)), ("B", to_hundredths(grades.B)), ("C", to_hundredths(grades.C))),
        qualification=Qualification(
            enter_at=to_hundredths(mql.threshold),
            leave_below=to_hundredths(mql.threshold - mql.hysteresis),
            grades=frozenset(mql.grades),
        ),
    )


def _fit(name: str, group: FitPart) -> FitGroup:
    rules = [_rule(rule) for rule in group.rules]
    if group.choose == "best":
        rules.sort(key=lambda rule: -rule.points)  # stable: of equal rules the first in the document counts
    return FitGroup(name=name, cap=to_hundredths(group.cap), choice=group.choose, rules=tuple(rules))


def _engagement(name: str, group: EngagementPart, default_days: float) -> EngagementGroup:
    return EngagementGroup(
        name=name,
        cap=to_hundredths(group.cap),
        signals=tuple(
            Signal(
                signal_id=part.id,
                kind=part.activity,
                points=to_hundredths(part.points),
                half_life=(part.half_life_days or default_days) * SECONDS_A_DAY,
                frequency=_frequency(part.at_most),
                where=_where(part.where),
            )
            for part in group.signals
        ),
    )


def _negative(name: str, group: NegativePart) -> NegativeGroup:
    return NegativeGroup(
        name=name,
        floor=to_hundredths(group.floor),
        rules=tuple(_rule(rule) for rule in group.rules),
        signals=tuple(
            Signal(
                signal_id=part.id,
                kind=part.activity,
                points=to_hundredths(part.points),
                half_life=None,
                frequency=_frequency(part.at_most),
                where=_where(part.where),
            )
            for part in group.signals
        ),
    )


def _frequency(part: FrequencyPart | None) -> FrequencyCap | None:
    return None if part is None else FrequencyCap(part.times, timedelta(days=part.days))


def _where(where: dict[str, list[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((key, frozenset(values)) for key, values in where.items())


def _rule(part: RulePart) -> Rule:
    inputs = {field.name: field for field in _inputs(part.when)}
    return Rule(part.id, to_hundredths(part.points), _condition(part.when), tuple(inputs.values()))


def _condition(part: ConditionPart) -> Condition:
    if part.all is not None:
        return all_of([_condition(each) for each in part.all])
    if part.any is not None:
        return any_of([_condition(each) for each in part.any])
    if part.none is not None:
        return none_of([_condition(each) for each in part.none])
    field = _field(part)
    if part.is_in is not None:
        return is_in(field, part.is_in)
    if part.has_words is not None:
        return has_words(field, part.has_words)
    if part.is_true is not None:
        return is_flag(field, wanted=part.is_true)
    if part.is_set is not None:
        return is_set(field, wanted=part.is_set)
    return is_between(field, part.at_least, part.at_most)


def _inputs(part: ConditionPart) -> Iterator[Field]:
    for combined in (part.all, part.any, part.none):
        for each in combined or ():
            yield from _inputs(each)
    if part.field is not None:
        yield _field(part)


def _field(part: ConditionPart) -> Field:
    field = find_field(part.field or "")
    if field is None:
        message = f"unchecked field {part.field}"
        raise ValueError(message)
    return field


def _pointer(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location if part != "[key]"]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
