"""The quick test of nesting agrees with a walk of the tree."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.domain.json_guard import _is_flat

texts = st.text(alphabet='[]{}"\\a é', max_size=8)
trees = st.recursive(
    texts | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=25,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@settings(max_examples=100)
@given(trees, st.integers(0, 6), st.booleans())
def test_brackets_in_strings_do_not_count_and_those_outside_do(tree: Any, limit: int, is_ascii: bool) -> None:
    body = json.dumps(tree, ensure_ascii=is_ascii).encode()
    assert _is_flat(body, limit) is (depth_of(tree) <= limit)
