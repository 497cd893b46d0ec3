"""What conditions of a model document can and cannot be: never true, or never true without another one.

Everything here is on the safe side: what cannot be proved is taken for possible, so no sound document is refused.
"""

from collections.abc import Iterator, Sequence
from math import ceil, floor, inf
from typing import Final

from scoring.domain.fields import find_field
from scoring.model_schema import ConditionPart

# Comparisons for one document, about a tenth of a second. What is left then is not proved: conditions made to be
# compared without end must not hold up the service.
MOST_STEPS: Final = 100_000

_NOT_KNOWN: Final = frozenset({"", "unknown"})
"""Values that `is_set` takes for not known."""

Range = tuple[float, float]


class Reasoning:
    """Proofs about the conditions of one document, with an end to the effort for all of them together."""

    def __init__(self, most_steps: int = MOST_STEPS) -> None:
        self._left = most_steps

    def is_impossible(self, part: ConditionPart) -> bool:
        """Say if no lead can ever meet *part*: its tests exclude each other."""
        if part.any is not None:
            return all(self.is_impossible(each) for each in part.any)
        if part.all is None:
            return _is_empty(part)
        required = [*_required(part)]
        if any(self.is_impossible(each) for each in required):
            return True
        tests = [each for each in required if each.field is not None]
        excluded = [ruled_out for each in required for ruled_out in each.none or ()]
        return (
            self._exclude_each_other(tests)
            or any(self._all_excluded(each.any, tests) for each in required if each.any is not None)
            or any(self.implies(each, ruled_out) for each in required for ruled_out in excluded)
        )

    def implies(self, part: ConditionPart, other: ConditionPart) -> bool:
        """Say if whoever meets *part* surely meets *other*."""
        if not self._may_go_on(1):
            return False
        if other.all is not None:
            return all(self.implies(part, each) for each in other.all)
        if part.any is not None:
            return all(self.implies(each, other) for each in part.any)
        if other.any is not None and any(self.implies(part, each) for each in other.any):
            return True
        if part.all is not None:
            return any(self.implies(each, other) for each in part.all)
        if part.none is not None and other.none is not None:
            return all(any(self.implies(each, ruled_out) for ruled_out in part.none) for each in other.none)
        if other.none is not None:
            return all(self._exclude(part, each) for each in other.none)
        return self._test_implies(part, other)

    def is_covered(self, part: ConditionPart, others: Sequence[ConditionPart]) -> bool:
        """Say if whoever meets *part* surely meets one of *others*; several together only if all test one field."""
        if any(self.implies(part, each) for each in others):
            return True
        same = [each for each in others if each.field is not None and each.field == part.field]
        if not self._may_go_on(len(others) + sum(len(each.is_in or ()) for each in [part, *same])):
            return False
        if part.is_in is not None:
            return _values(part) <= {value for each in same for value in _values(each)}
        wanted = _range(part)
        return wanted is not None and _is_spanned(wanted, sorted(span for each in same if (span := _range(each))))

    def _may_go_on(self, steps: int) -> bool:
        self._left -= steps
        return self._left > 0

    def _exclude_each_other(self, tests: Sequence[ConditionPart]) -> bool:
        for index, one in enumerate(tests):
            if not self._may_go_on(index):
                return False
            if any(self._exclude(one, other) for other in tests[:index]):
                return True
        return False

    def _all_excluded(self, alternatives: Sequence[ConditionPart], tests: Sequence[ConditionPart]) -> bool:
        return all(
            self._may_go_on(len(tests)) and any(self._exclude(each, test) for test in tests) for each in alternatives
        )

    def _exclude(self, one: ConditionPart, other: ConditionPart) -> bool:
        """Say if no lead can meet both. False if one of them is no test of a field."""
        if one.field is None or one.field != other.field or not self._may_go_on(1):
            return False
        if one.is_set is False or other.is_set is False:
            return _needs_a_value(other if one.is_set is False else one)
        if one.is_in is not None and other.is_in is not None:
            is_cheap = self._may_go_on(len(one.is_in) + len(other.is_in))
            return is_cheap and _values(one).isdisjoint(_values(other))
        if one.is_true is not None and other.is_true is not None:
            return one.is_true is not other.is_true
        texts, phrases = one.is_in or other.is_in, one.has_words or other.has_words
        if texts is not None and phrases is not None:
            return self._may_go_on(_cost(texts, phrases)) and not any(_has_words(each, phrases) for each in texts)
        first, second = _range(one), _range(other)
        return first is not None and second is not None and (first[0] > second[1] or second[0] > first[1])

    def _test_implies(self, part: ConditionPart, other: ConditionPart) -> bool:
        if part.field is None or part.field != other.field:
            return False
        if other.is_set is not None:
            return _needs_a_value(part) if other.is_set else part.is_set is False
        if part.is_in is not None and other.is_in is not None:
            return self._may_go_on(len(part.is_in) + len(other.is_in)) and _values(part) <= _values(other)
        if part.is_true is not None:
            return part.is_true is other.is_true
        if other.has_words is not None:
            texts = part.has_words or part.is_in or []
            is_cheap = self._may_go_on(_cost(texts, other.has_words))
            return is_cheap and bool(texts) and all(_has_words(each, other.has_words) for each in texts)
        inner, outer = _range(part), _range(other)
        return inner is not None and outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1]


def most_at_once(parts: Sequence[tuple[ConditionPart, float]]) -> float:
    """Return an upper bound of the points that *parts* (conditions with points from 0 up) can give one lead together:
    tests of one field for different values exclude each other."""
    alone = [points for part, points in parts if part.is_in is None and _range(part) is None]
    by_field: dict[str, list[tuple[ConditionPart, float]]] = {}
    for part, points in parts:
        if part.field is not None and (part.is_in is not None or _range(part) is not None):
            by_field.setdefault(part.field, []).append((part, points))
    return sum(alone) + sum(_most_of_one_value(each) for each in by_field.values())


def _most_of_one_value(parts: Sequence[tuple[ConditionPart, float]]) -> float:
    """Return the most points that one value of a field can give."""
    sums: dict[str | float, float] = {}
    for part, points in parts:
        for value in _values(part):
            sums[value] = sums.get(value, 0.0) + points
    spans = [(span, points) for part, points in parts if (span := _range(part)) is not None]
    # The best number is where some range begins.
    for (start, _), _ in spans:
        sums[start] = sum(points for (low, high), points in spans if low <= start <= high)
    return max(sums.values(), default=0.0)


def _is_spanned(wanted: Range, spans: Sequence[Range]) -> bool:
    """Say if *spans*, sorted, leave no number of *wanted* out. Numbers that are tested are whole."""
    reached = wanted[0]
    for low, high in spans:
        if low > reached:
            break
        reached = max(reached, inf if high == inf else floor(high) + 1)
    return reached > wanted[1] or reached == inf


def _required(part: ConditionPart) -> Iterator[ConditionPart]:
    """Yield all that *part* needs at once, however its ``all`` are nested."""
    if part.all is None:
        yield part
        return
    for each in part.all:
        yield from _required(each)


def _is_empty(part: ConditionPart) -> bool:
    span = _range(part)
    return span is not None and inf not in {span[1], -span[0]} and ceil(span[0]) > floor(span[1])


def _needs_a_value(part: ConditionPart) -> bool:
    """Say if *part* holds only for inputs that are known."""
    texts = part.is_in or part.has_words
    if texts is not None:
        return not any(text.casefold() in _NOT_KNOWN for text in texts)
    return part.is_set is True or part.is_true is not None or _range(part) is not None


def _values(part: ConditionPart) -> set[str]:
    field = find_field(part.field or "")
    if part.is_in is None or field is None:
        return set()
    return set(part.is_in) if field.sort == "choice" else {value.casefold() for value in part.is_in}


def _range(part: ConditionPart) -> Range | None:
    if part.at_least is None and part.at_most is None:
        return None
    return (-inf if part.at_least is None else part.at_least, inf if part.at_most is None else part.at_most)


def _cost(texts: Sequence[str], phrases: Sequence[str]) -> int:
    """Return the steps of looking for *phrases* in *texts*: a phrase may begin at every character and be no word."""
    return len(phrases) * (len(texts) + sum(map(len, texts)) // 8)


def _has_words(text: str, phrases: Sequence[str]) -> bool:
    """Say if *text* holds one of *phrases* as whole words, as `scoring.domain.condition.has_words` reads it."""
    folded = text.casefold()
    return any(_has_phrase(folded, phrase.casefold()) for phrase in phrases)


def _has_phrase(text: str, phrase: str) -> bool:
    start = text.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        if not _is_word(text[start - 1 : start]) and not _is_word(text[end : end + 1]):
            return True
        start = text.find(phrase, start + 1)
    return False


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
