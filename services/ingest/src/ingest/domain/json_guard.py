"""Strict JSON: what later stages could not store, order or agree on is refused at the door, with the place named.

The fast path is one pass of the C scanner plus byte counts that bound depth and keys from above. Only a body that could
break a rule is decoded a second time, into a tree that keeps duplicate keys, and walked to find the place.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from ingest.domain.refusal import Refusal, RefusedBody, pointer_of, refuse

Json = Any
"""dict, list, str, int, float, bool or None."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# A string that never ends is taken to the end of the body: trying again from each escaped quote would be quadratic.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_INNERMOST = re.compile(rb"\[\]|\{\}")
_NOT_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_NESTING_CEILING = 500  # below the scanner's recursion limit, above every depth that can be configured


class JsonLimits(msgspec.Struct, frozen=True, kw_only=True):
    """``keys`` counts the members of all objects of the body together; ``depth`` counts nested objects and arrays."""

    depth: int = 32
    keys: int = 1_000


DEFAULT_LIMITS = JsonLimits()


def parse_json(body: bytes, limits: JsonLimits = DEFAULT_LIMITS) -> Json:
    """Return the value of *body*. Errors: `RefusedBody` naming the JSON pointer.

    Refused: not UTF-8, not JSON, NaN or Infinity, numbers too large for a double, duplicate keys, lone surrogates,
    U+0000, nesting over ``limits.depth``, more than ``limits.keys`` keys.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise refuse(400, "not_utf8", "", f"byte {error.start} is not UTF-8") from None
    if body.count(b"[") + body.count(b"{") > _NESTING_CEILING and _nesting(body) > _NESTING_CEILING:
        raise refuse(422, "json_too_deep", "", f"more than {limits.depth} levels")
    try:
        value = _FAST.decode(text)
    except _Suspect:
        raise _explain(text, limits) from None
    except (ValueError, RecursionError) as error:
        raise _syntax_error(error) from None
    if (
        b"\\u" in body  # an escape may hide U+0000 or half of a surrogate pair
        or body.count(b":") > limits.keys  # every key has its colon, so fewer colons cannot be more keys
        or (body.count(b"{") + body.count(b"[") > limits.depth and not _is_flat(body, limits.depth))
    ):
        refusals = tuple(_offences(value, limits))
        if refusals:
            raise RefusedBody(422, _code_of(refusals[0]), refusals)
    return value


class _Suspect(ValueError):
    """The fast decoder met something to refuse but does not know where."""


def _pairs_without_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Suspect
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    if number - number != 0:
        raise _Suspect
    return number


def _suspect(_name: str) -> NoReturn:
    raise _Suspect


_FAST = json.JSONDecoder(object_pairs_hook=_pairs_without_twins, parse_float=_finite, parse_constant=_suspect)


class _Members(list[tuple[str, Json]]):
    """An object with its duplicate keys kept."""


class _NotFinite:
    """Where a number was that no double can hold."""


def _keep_not_finite(digits: str) -> float | _NotFinite:
    number = float(digits)
    return number if number - number == 0 else _NotFinite()


_SLOW = json.JSONDecoder(
    object_pairs_hook=_Members, parse_float=_keep_not_finite, parse_constant=lambda _name: _NotFinite()
)


def _explain(text: str, limits: JsonLimits) -> RefusedBody:
    try:
        tree = _SLOW.decode(text)
    except (ValueError, RecursionError) as error:
        return _syntax_error(error)
    refusals = tuple(_offences(tree, limits))
    return RefusedBody(422, _code_of(refusals[0]), refusals)


def _syntax_error(error: Exception) -> RefusedBody:
    match error:
        case json.JSONDecodeError():
            return refuse(400, "not_json", "", f"not JSON at line {error.lineno}, column {error.colno}")
        case RecursionError():
            return refuse(422, "json_too_deep", "", "too many levels")
        case _:  # the interpreter's limit on the digits of an integer
            return refuse(422, "number_too_long", "", "a number has too many digits")


def _is_flat(body: bytes, depth: int) -> bool:
    """Tell whether the brackets of *body*, which is JSON, nest no deeper than *depth*.

    Taking out innermost pairs until nothing is left needs as many rounds as there are levels: 11 µs for a form of 50
    objects, where the walk that finds the place needs 140.
    """
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return True
        brackets = _INNERMOST.sub(b"", brackets)
    return not brackets


def _nesting(body: bytes) -> int:
    """Return the deepest nesting of brackets; brackets inside strings do not count."""
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
                deepest = max(deepest, depth)
            case b"]" | b"}":
                depth -= 1
            case _:
                pass
    return deepest


_TWIN = "the key occurs twice"
_NUMBER = "not a finite number"
_SURROGATE = "half of a surrogate pair"
_ZERO = "U+0000 is not accepted"
_CODE_BY_DETAIL = {
    _TWIN: "duplicate_key",
    _NUMBER: "number_not_finite",
    _SURROGATE: "lone_surrogate",
    _ZERO: "null_character",
}
_REPORTED = 10  # enough to act on; a hostile body must not make a long answer


def _code_of(refusal: Refusal) -> str:
    return _CODE_BY_DETAIL.get(refusal.detail) or (
        "json_too_deep" if refusal.detail.endswith("levels") else "json_too_many_keys"
    )


def _offences(tree: Json, limits: JsonLimits) -> Iterator[Refusal]:
    """Yield at most ten offences in document order."""
    found = 0
    keys = 0
    pending: list[tuple[tuple[str | int, ...], Json]] = [((), tree)]
    while pending:
        path, value = pending.pop()
        for detail in _offences_of(value):
            yield Refusal(pointer_of(path), detail)
            found += 1
        if isinstance(value, list | dict):
            if len(path) >= limits.depth:
                yield Refusal(pointer_of(path), f"more than {limits.depth} levels")
                return
            members = _members_of(value)
            if isinstance(value, dict | _Members):
                keys += len(members)
                if keys > limits.keys:
                    yield Refusal(pointer_of(path), f"more than {limits.keys} keys")
                    return
                for path_of_key, detail in _offences_of_keys(path, members):
                    yield Refusal(pointer_of(path_of_key), detail)
                    found += 1
            pending.extend((path + (step,), member) for step, member in reversed(members))  # noqa: RUF005 - 2x faster
        if found >= _REPORTED:
            return


def _members_of(value: Json) -> list[tuple[Any, Json]]:
    if isinstance(value, _Members):
        return value
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _offences_of(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield _ZERO
        if _LONE_SURROGATE.search(value):
            yield _SURROGATE
    elif isinstance(value, _NotFinite):
        yield _NUMBER


def _offences_of_keys(
    path: tuple[str | int, ...], members: list[tuple[str, Json]]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    seen: set[str] = set()
    for key, _ in members:
        for detail in _offences_of(key):
            yield (*path, _LONE_SURROGATE.sub("\ufffd", key).replace("\0", "\ufffd")), detail
        if key in seen:
            yield (*path, key), _TWIN
        seen.add(key)
