"""Conditions of a model document in words, and the values they speak of: for people, and for counterfactuals."""

from collections.abc import Iterator
from math import ceil, floor
from typing import Final

from scoring.domain.fields import Field
from scoring.domain.model import Example
from scoring.model_schema import ConditionPart

# Of a long list, so many are named or tried: the first is as good a suggestion as the hundredth.
MOST_NAMED: Final = 12
MOST_TRIED: Final = 4

ANY_TEXT: Final = "any"  # the example of a text that only has to be there


def word_condition(part: ConditionPart) -> str:
    """Return *part* in words: ``lead.employees at least 201 and at most 1000``."""
    for word, parts in (("and", part.all), ("or", part.any)):
        if parts is not None:
            return f" {word} ".join(_bracketed(each) for each in parts)
    if part.none is not None:
        return f"not ({' or '.join(_bracketed(each) for each in part.none)})"
    return f"{part.field} {_word_test(part)}"


def list_examples(part: ConditionPart, field: Field) -> tuple[Example, ...]:
    """Return values of *field* to try when *part* should hold, without repetition: first those its tests name, then
    those that a ``none`` around them needs. Bounded per test."""
    values = dict.fromkeys(_asked(part, field))
    return (*values, *(other for other in _others(field, part) if other not in values))


def _bracketed(part: ConditionPart) -> str:
    several = max(len(part.all or ()), len(part.any or ())) > 1
    return f"({word_condition(part)})" if several else word_condition(part)


def _word_test(part: ConditionPart) -> str:
    if part.is_in is not None:
        return f"is {_listed(part.is_in)}"
    if part.has_words is not None:
        return f"has the words {_listed(part.has_words)}"
    if part.is_true is not None:
        return "is true" if part.is_true else "is false"
    if part.is_set is not None:
        return "is known" if part.is_set else "is not known"
    limits = (("at least", part.at_least), ("at most", part.at_most))
    return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


def _listed(values: list[str]) -> str:
    named = ", ".join(values[:MOST_NAMED])
    more = len(values) - MOST_NAMED
    if more > 0:
        return f"{named} or one of {more} more"
    head, _, last = named.rpartition(", ")
    return f"{head} or {last}" if head else last


def _asked(part: ConditionPart, field: Field) -> Iterator[Example]:
    for each in _tests(part, field):
        yield from (each.is_in or each.has_words or [])[:MOST_TRIED]
        if each.is_true is not None:
            yield each.is_true
        if each.is_set:
            yield from _known(field)
        if each.at_least is not None:
            yield ceil(each.at_least)
        elif each.at_most is not None:
            yield floor(each.at_most)


def _others(field: Field, part: ConditionPart) -> Iterator[Example]:
    """Yield what is none of the values asked for."""
    match field.sort:
        case "flag":
            yield from (True, False)
        case "choice":
            yield from sorted(field.choices)
        case "number":
            for each in _tests(part, field):
                if each.at_least is not None:
                    yield ceil(each.at_least) - 1
                if each.at_most is not None:
                    yield floor(each.at_most) + 1
            yield None
        case "text":
            yield None


def _known(field: Field) -> tuple[Example, ...]:
    match field.sort:
        case "flag":
            return (True, False)
        case "choice":
            return tuple(sorted(field.choices - {"unknown"}))
        case "number":
            return (1,)
        case "text":
            return (ANY_TEXT,)


def _tests(part: ConditionPart, field: Field) -> Iterator[ConditionPart]:
    """Yield the tests of *field* in *part*."""
    for parts in (part.all, part.any, part.none):
        for each in parts or ():
            yield from _tests(each, field)
    if part.field == field.name:
        yield part
