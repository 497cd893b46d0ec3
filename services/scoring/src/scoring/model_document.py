"""From the YAML text of a scoring model to a model that runs, or to the list of what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from scoring.model_rules import ACCOUNT_GROUP, Finding, find_faults
from scoring.model_schema import (
    ConditionPart,
    DecayPart,
    EngagementPart,
    FitPart,
    FrequencyPart,
    ModelDocument,
    NegativePart,
    RulePart,
)
from scoring.model_words import list_examples, word_condition
from shared.documents import DocumentInvalid, DocumentStore, load_yaml

SECONDS_A_DAY = 86_400
MOST_FAULTS = 100  # named in one answer; a document of half a megabyte can hold a hundred thousand


def default_model_text() -> str:
    """Return the model this version of Leadrail ships with."""
    return files("scoring").joinpath("defaults/model.yaml").read_text(encoding="utf-8")


def model_store() -> DocumentStore[ScoringModel]:
    """Return the versions of the scoring model, to be opened."""
    return DocumentStore("scoring_model", parse_model, default=default_model_text(), load=load_model)


def parse_model(text: str) -> ScoringModel:
    """Return the model that *text* describes. Errors: `DocumentInvalid` with a JSON pointer for every fault."""
    document = _read(text)
    if faults := find_faults(document):
        raise _refusal(faults)
    return compile_model(document)


def load_model(text: str) -> ScoringModel:
    """Return a stored version, which was checked when it was stored: by an earlier release, which knew fewer faults.

    Errors: `DocumentInvalid` if it can not run here at all.
    """
    try:
        return compile_model(_read(text))
    except ValueError as error:
        raise _refusal([("", str(error))]) from error


def _read(text: str) -> ModelDocument:
    try:
        return ModelDocument.model_validate(load_yaml(text))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False, include_input=False)
        raise _refusal([(_pointer(error["loc"]), error["msg"]) for error in errors]) from None


def compile_model(document: ModelDocument) -> ScoringModel:
    """Return a valid *document* in the form that scores."""
    grades, mql = document.grades, document.mql
    return ScoringModel(
        name=document.name,
        fit=tuple(_fit(name, group) for name, group in document.fit.items()),
        engagement=(
            *(_engagement(name, group, document.decay) for name, group in document.engagement.items()),
            *([] if document.account is None else [_account(document.account, document.decay)]),
        ),
        negative=tuple(_negative(name, group) for name, group in document.negative.items()),
        grades=(("A", to_hundredths(grades.A)), ("B", to_hundredths(grades.B)), ("C", to_hundredths(grades.C))),
        qualification=Qualification(
            enter_at=to_hundredths(mql.threshold),
            leave_below=to_hundredths(mql.threshold - mql.hysteresis),
            grades=frozenset(mql.grades),
        ),
        ranking=document.ranking,
    )


def _refusal(faults: Sequence[Finding]) -> DocumentInvalid:
    errors = [{"pointer": pointer, "detail": detail} for pointer, detail in faults[:MOST_FAULTS]]
    if len(faults) > MOST_FAULTS:
        errors.append({"pointer": "", "detail": f"and {len(faults) - MOST_FAULTS} more faults"})
    return DocumentInvalid(errors)


def _fit(name: str, group: FitPart) -> FitGroup:
    rules = [_rule(rule) for rule in group.rules]
    if group.choose == "best":
        rules.sort(key=lambda rule: -rule.points)  # stable: of equal rules the first in the document counts
    return FitGroup(name=name, cap=to_hundredths(group.cap), choice=group.choose, rules=tuple(rules))


def _engagement(name: str, group: EngagementPart, decay: DecayPart) -> EngagementGroup:
    return EngagementGroup(
        name=name,
        cap=to_hundredths(group.cap),
        signals=tuple(
            Signal(
                signal_id=part.id,
                kind=part.activity,
                points=to_hundredths(part.points),
                half_life=(part.half_life_days or decay.half_life_days) * SECONDS_A_DAY,
                frequency=_frequency(part.at_most),
                where=_where(part.where),
                look_back=_look_back(part.look_back_days or decay.look_back_days),
            )
            for part in group.signals
        ),
    )


def _account(group: EngagementPart, decay: DecayPart) -> EngagementGroup:
    """Return the group that counts what colleagues did."""
    compiled = _engagement(ACCOUNT_GROUP, group, decay)
    return replace(compiled, signals=tuple(replace(signal, of_account=True) for signal in compiled.signals))


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


def _look_back(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _where(where: dict[str, list[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((key, frozenset(values)) for key, values in where.items())


def _rule(part: RulePart) -> Rule:
    inputs = {field.name: field for field in _inputs(part.when)}
    return Rule(
        rule_id=part.id,
        points=to_hundredths(part.points),
        condition=compile_condition(part.when),
        inputs=tuple(inputs.values()),
        wording=word_condition(part.when),
        examples=tuple((field, list_examples(part.when, field)) for field in inputs.values()),
    )


def compile_condition(part: ConditionPart) -> Condition:
    """Return a valid *part* in the form that is asked."""
    if part.all is not None:
        return all_of([compile_condition(each) for each in part.all])
    if part.any is not None:
        return any_of([compile_condition(each) for each in part.any])
    if part.none is not None:
        return none_of([compile_condition(each) for each in part.none])
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
