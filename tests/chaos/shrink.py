"""The shortest list that still fails: delta debugging."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[list[T]], bool], most_tries: int) -> list[T]:
    """Return a part of *items*, in their order, that *fails*; after *most_tries* the shortest found so far.

    With tries enough, no item of it can be left out alone. *items* as a whole is known to fail and is not tried.
    """
    failing, parts, tries = list(items), 2, 0
    while len(failing) > 1:
        for candidate, next_parts in _candidates(failing, parts):
            if tries == most_tries:
                return failing
            tries += 1
            if fails(candidate):
                failing, parts = candidate, min(next_parts, len(candidate))
                break
        else:
            if parts == len(failing):
                return failing
            parts = min(2 * parts, len(failing))
    return failing


def _candidates(items: Sequence[T], parts: int) -> Iterator[tuple[list[T], int]]:
    """Yield each of *parts* chunks alone, then all but each of them; with the number of parts to go on with."""
    chunks = list(pairwise(len(items) * number // parts for number in range(parts + 1)))
    for start, end in chunks:
        yield list(items[start:end]), 2
    if parts > 2:
        for start, end in chunks:
            yield [*items[:start], *items[end:]], parts - 1
