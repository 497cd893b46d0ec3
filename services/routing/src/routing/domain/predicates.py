"""Conditions of rules: a small tree, compiled once per document into closures that say why they do not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, assert_never

from routing.domain.fields import FIELDS, Field, Inputs, Sort, Value

MAX_DEPTH = 8
MAX_NODES = 200

Operator = Literal["eq", "in", "gt", "gte", "lt", "lte", "starts_with", "exists"]
Operand = str | float | bool | tuple[str | float, ...]

OPERATORS_OF: dict[Sort, frozenset[Operator]] = {
    "text": frozenset({"eq", "in", "starts_with", "exists"}),
    "number": frozenset({"eq", "in", "gt", "gte", "lt", "lte", "exists"}),
    "flag": frozenset({"eq", "exists"}),
}


@dataclass(frozen=True, slots=True)
class Test:
    """One field compared with an operand. A field that is not known fails every test but ``exists: false``."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    field: str
    operator: Operator
    operand: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """Holds if *part* does not."""

    part: "Predicate"


@dataclass(frozen=True, slots=True)
class All:
    """Holds if every part does; with no part, always."""

    parts: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds if at least one part does."""

    parts: "tuple[Predicate, ...]"


Predicate = Test | Not | All | AnyOf

Check = Callable[[Inputs], str | None]
"""Returns None if the condition holds, otherwise the first reason why it does not."""


def compile_predicate(predicate: Predicate) -> Check:
    """Return the closure of *predicate*. The text of each reason is prepared here, not once per lead."""
    match predicate:
        case Test():
            return _compile_test(predicate)
        case Not(part):
            return _compile_not(compile_predicate(part), describe(part))
        case All(parts):
            return _compile_all(tuple(compile_predicate(part) for part in parts))
        case AnyOf(parts):
            return _compile_any(tuple(compile_predicate(part) for part in parts))
        case _:
            assert_never(predicate)


def describe(predicate: Predicate) -> str:
    """Return the condition as one line a person can read."""
    match predicate:
        case Test(field, "in", tuple(operand)):
            return f"{field} in [{', '.join(map(str, operand))}]"
        case Test(field, operator, operand):
            return f"{field} {operator} {_shown(operand if not isinstance(operand, tuple) else str(operand))}"
        case Not(part):
            return f"not ({describe(part)})"
        case All(parts):
            return " and ".join(f"({describe(part)})" for part in parts) or "always"
        case AnyOf(parts):
            return " or ".join(f"({describe(part)})" for part in parts)
        case _:
            assert_never(predicate)


def fields_of(predicate: Predicate) -> frozenset[str]:
    """Return the names of the fields *predicate* reads."""
    match predicate:
        case Test(field):
            return frozenset({field})
        case Not(part):
            return fields_of(part)
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(fields_of(part) for part in parts))
        case _:
            assert_never(predicate)


def count_nodes(predicate: Predicate) -> int:
    """Return how many nodes the tree has."""
    match predicate:
        case Test():
            return 1
        case Not(part):
            return 1 + count_nodes(part)
        case All(parts) | AnyOf(parts):
            return 1 + sum(count_nodes(part) for part in parts)
        case _:
            assert_never(predicate)


def operand_problem(field: Field, operator: Operator, operand: Operand) -> str | None:
    """Return why *field* cannot be tested like that, or None if it can."""
    if operator not in OPERATORS_OF[field.sort]:
        return f"{field.name} is a {field.sort}: use one of {', '.join(sorted(OPERATORS_OF[field.sort]))}"
    if operator == "exists":
        return None if isinstance(operand, bool) else "exists takes true or false"
    wanted = operand if isinstance(operand, tuple) else (operand,)
    if not all(_is_of_sort(value, field.sort) for value in wanted):
        return f"{field.name} is a {field.sort}: it can never equal a value of another kind"
    return None


def _is_of_sort(value: str | float | bool, sort: Sort) -> bool:  # noqa: FBT001 - a document's value, not a switch
    match sort:
        case "flag":
            return isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case _:
            assert_never(sort)


def _shown(value: Value) -> str:
    match value:
        case None:
            return "not known"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case _:
            return f"{value:g}"


def _compile_test(test: Test) -> Check:
    name, text = test.field, describe(test)
    holds = _comparison(FIELDS[name], test.operator, test.operand)

    def check(inputs: Inputs) -> str | None:
        value = inputs[name]
        return None if holds(value) else f"{text}: was {_shown(value)}"

    return check


def _comparison(field: Field, operator: Operator, operand: Operand) -> Callable[[Value], bool]:
    if operator == "exists":
        return lambda value: (value is not None) is operand
    if field.sort == "text":
        return _text_comparison(operator, operand)
    if field.sort == "flag":
        return lambda value: value is operand
    return _number_comparison(operator, operand)


def _text_comparison(operator: Operator, operand: Operand) -> Callable[[Value], bool]:
    # Upper and lower case are the same: "de" in a document must not lose the leads of DE.
    folded = tuple(str(item).casefold() for item in (operand if isinstance(operand, tuple) else (operand,)))
    if operator == "starts_with":
        return lambda value: isinstance(value, str) and value.casefold().startswith(folded)
    choices = frozenset(folded)
    return lambda value: isinstance(value, str) and value.casefold() in choices


def _number_comparison(operator: Operator, operand: Operand) -> Callable[[Value], bool]:
    choices = frozenset(operand if isinstance(operand, tuple) else (operand,))
    limit = 0.0 if isinstance(operand, tuple | str) else float(operand)
    match operator:
        case "gt":
            return lambda value: isinstance(value, int | float) and value > limit
        case "gte":
            return lambda value: isinstance(value, int | float) and value >= limit
        case "lt":
            return lambda value: isinstance(value, int | float) and value < limit
        case "lte":
            return lambda value: isinstance(value, int | float) and value <= limit
        case _:
            return lambda value: isinstance(value, int | float) and value in choices


def _compile_not(part: Check, text: str) -> Check:
    reason = f"not ({text}): it was"
    return lambda inputs: reason if part(inputs) is None else None


def _compile_all(parts: tuple[Check, ...]) -> Check:
    def check(inputs: Inputs) -> str | None:
        for part in parts:
            reason = part(inputs)
            if reason is not None:
                return reason
        return None

    return check


def _compile_any(parts: tuple[Check, ...]) -> Check:
    def check(inputs: Inputs) -> str | None:
        reasons = []
        for part in parts:
            reason = part(inputs)
            if reason is None:
                return None
            reasons.append(reason)
        return "; ".join(reasons)

    return check
