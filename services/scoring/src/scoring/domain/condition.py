"""Conditions of rules, as closures: built once per model version, run for every lead."""

import re
from collections.abc import Callable, Iterable, Sequence

from scoring.domain.fields import LONGEST_TEXT, Field
from shared.contracts import Facts, Lead

Condition = Callable[[Lead, Facts], bool]
"""True if the rule applies. An input that is not known makes every condition on it false."""


def is_in(field: Field, values: Iterable[str]) -> Condition:
    """Hold if the input is one of *values*; upper and lower case are the same for text."""
    read = field.read
    if field.sort == "choice":
        choices = frozenset(values)
        return lambda lead, facts: read(lead, facts) in choices
    folded = frozenset(value.casefold() for value in values)

    def test(lead: Lead, facts: Facts) -> bool:
        text = read(lead, facts)
        return isinstance(text, str) and text.casefold() in folded

    return test


def has_words(field: Field, phrases: Iterable[str]) -> Condition:
    """Hold if the text holds one of *phrases* as whole words. Phrases are literal text: no pattern can be slow."""
    alternatives = "|".join(re.escape(phrase.casefold()) for phrase in sorted(phrases, key=len, reverse=True))
    search = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)").search
    read = field.read

    def test(lead: Lead, facts: Facts) -> bool:
        text = read(lead, facts)
        return isinstance(text, str) and search(text[:LONGEST_TEXT].casefold()) is not None

    return test


def is_between(field: Field, at_least: float | None, at_most: float | None) -> Condition:
    """Hold if the number lies in the closed range; ``None`` leaves that side open."""
    low = float("-inf") if at_least is None else at_least
    high = float("inf") if at_most is None else at_most
    read = field.read

    def test(lead: Lead, facts: Facts) -> bool:
        number = read(lead, facts)
        return isinstance(number, int | float) and low <= number <= high

    return test


def is_flag(field: Field, *, wanted: bool) -> Condition:
    """Hold if the yes-or-no input is *wanted*."""
    read = field.read
    return lambda lead, facts: read(lead, facts) is wanted


def is_set(field: Field, *, wanted: bool) -> Condition:
    """Hold if the input is known (*wanted*) or not known (not *wanted*). ``unknown`` counts as not known."""
    read = field.read
    return lambda lead, facts: (read(lead, facts) not in {None, "", "unknown"}) is wanted


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Hold if every one of *conditions* does."""
    parts = tuple(conditions)
    return lambda lead, facts: all(part(lead, facts) for part in parts)


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Hold if at least one of *conditions* does."""
    parts = tuple(conditions)
    return lambda lead, facts: any(part(lead, facts) for part in parts)


def none_of(conditions: Sequence[Condition]) -> Condition:
    """Hold if not one of *conditions* does."""
    parts = tuple(conditions)
    return lambda lead, facts: not any(part(lead, facts) for part in parts)
