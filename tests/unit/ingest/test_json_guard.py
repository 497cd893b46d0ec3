"""Strict JSON: what is refused, where it is, and that everything else passes unchanged."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.json_guard import JsonLimits, parse_json
from ingest.domain.refusal import RefusedBody

REFUSED = {
    "NaN": (b'{"lead": {"score": NaN}}', 422, "number_not_finite", "/lead/score"),
    "Infinity": (b"[1, -Infinity]", 422, "number_not_finite", "/1"),
    "a number no double holds": (b'{"a": [1e999]}', 422, "number_not_finite", "/a/0"),
    "a duplicate key": (b'{"a": {"email": 1, "b": 2, "email": 3}}', 422, "duplicate_key", "/a/email"),
    "a duplicate key, escaped": (b'{"a": 1, "\\u0061": 2}', 422, "duplicate_key", "/a"),
    "half a surrogate pair": (b'{"name": "\\ud83d"}', 422, "lone_surrogate", "/name"),
    "the other half": (b'{"name": "x\\uDE00"}', 422, "lone_surrogate", "/name"),
    "U+0000": (b'{"name": ["a", "b\\u0000"]}', 422, "null_character", "/name/1"),
    "U+0000 in a key": (b'{"na\\u0000me": 1}', 422, "null_character", "/na\ufffdme"),
    "a raw control character": (b'{"name": "a\x00"}', 400, "not_json", ""),
    "too many levels": (b'{"a":' * 33 + b"1" + b"}" * 33, 422, "json_too_deep", "/a" * 32),
    "thousands of levels": (b"[" * 100_000, 422, "json_too_deep", ""),
    "too many keys": (json.dumps({f"k{n}": n for n in range(1001)}).encode(), 422, "json_too_many_keys", ""),
    "no JSON": (b"email=a@b.de", 400, "not_json", ""),
    "nothing": (b"", 400, "not_json", ""),
    "two values": (b"{} {}", 400, "not_json", ""),
    "not UTF-8": (b'{"name": "\xff"}', 400, "not_utf8", ""),
    "an encoded surrogate": (b'{"name": "\xed\xa0\xbd"}', 400, "not_utf8", ""),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "not_json", ""),
    "a number of 5,000 digits": (b'{"a": ' + b"9" * 5_000 + b"}", 422, "number_too_long", ""),
    "a slash in the name": (b'{"a/b~c": NaN}', 422, "number_not_finite", "/a~1b~0c"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_place_named(name: str):
    body, status, code, pointer = REFUSED[name]
    with pytest.raises(RefusedBody) as refused:
        parse_json(body)
    first = refused.value.refusals[0]
    assert (refused.value.status, refused.value.code, first.pointer) == (status, code, pointer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": 123456789012345678901234567890}',
        b'{"emoji": "\\ud83d\\ude00", "raw": "\xf0\x9f\x98\x80"}',
        b'{"brackets": "' + b"[{" * 400 + b'"}',
        b'{"colons": "' + b":" * 2_000 + b'"}',
        b"[" * 32 + b"]" * 32,
        b"null",
        b'"text"',
        b"-0.0",
    ],
)
def test_unusual_but_right_bodies_pass(body: bytes):
    assert parse_json(body) == json.loads(body)


def test_a_string_that_never_ends_costs_no_more_than_its_length():
    body = b"[" * 501 + b'"' + b'\\"' * 200_000
    with pytest.raises(RefusedBody):
        parse_json(body)


def test_limits_are_the_senders():
    body = json.dumps([{f"k{n}": 1 for n in range(300)} for _ in range(5)]).encode()
    assert len(parse_json(body, JsonLimits(keys=1_500))) == 5
    with pytest.raises(RefusedBody):
        parse_json(body, JsonLimits(keys=1_499))


def test_a_hostile_body_gets_a_short_answer():
    with pytest.raises(RefusedBody) as refused:
        parse_json(b"[" + b",".join([b"NaN"] * 5_000) + b"]")
    assert len(refused.value.refusals) == 10


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(value=values, is_ascii=st.booleans())
def test_whatever_is_right_passes_unchanged(value: Any, is_ascii: bool):
    assert parse_json(json.dumps(value, ensure_ascii=is_ascii).encode()) == value


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=60) | st.text('{}[]":,\\u0dD8aNI1.e- ', max_size=40).map(str.encode))
def test_whatever_comes_is_parsed_or_refused(body: bytes):
    try:
        value = parse_json(body)
    except RefusedBody as refused:
        assert refused.refusals  # noqa: PT017 - either outcome is right
    else:
        assert json.loads(body) == value
