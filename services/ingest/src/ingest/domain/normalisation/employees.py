"""Company sizes as people and forms write them, as one number."""

import re
from functools import cache, lru_cache

from ingest.domain.normalisation.reference import table

_LARGEST = 5_000_000  # the largest employers on earth have half of it
_NUMBER = re.compile(
    r"(\d{1,3}(?:[ .,'’\u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,]\d{1,2})?)\s*(k|tsd|mille|mil|mio|million|m)?(?![a-z])",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def read_employees(text: str) -> int | None:
    """The number of people *text* speaks of, None when not certain. Of a range, its lower end: so many are certain, and
    a form's ranges (51-200, 201-500) begin where scoring thresholds do. ``up to 10`` is 1. Never raises."""
    text = " ".join(text[:80].lower().split())
    if text.replace("-", " ").replace("'", "").replace("ä", "a").strip(" .!") in _alone():
        return 1
    numbers = [_value(match[1], match[2]) for match in _NUMBER.finditer(text)]
    if not numbers or len(numbers) > 2 or "%" in text or "@" in text or text[0] == "-":
        return None
    if len(numbers) == 1 and _at_most().match(text):
        return 1 if numbers[0] and numbers[0] > 0 else None
    lowest, highest = numbers[0], numbers[-1]
    if lowest is None or highest is None or lowest > highest:
        return None
    return lowest if 1 <= lowest <= _LARGEST else 1 if lowest == 0 and 0 < highest <= _LARGEST else None


def are_plausible(employees: int) -> bool:
    return 1 <= employees <= _LARGEST


def _value(digits: str, unit: str | None) -> int | None:
    """12 with "k" is 12,000; 1.5 without a unit is no number of people."""
    factor = 1 if unit is None else 1_000_000 if unit in {"mio", "million", "m"} else 1_000
    groups = re.split(r"\D", digits)
    if len(groups) > 1 and all(len(group) == 3 for group in groups[1:]):
        return int("".join(groups)) * factor
    if len(groups) == 1:
        return int(digits[:12]) * factor
    return None if factor == 1 else int(float(digits.replace(",", ".")) * factor)


@cache
def _alone() -> frozenset[str]:
    return frozenset(table("employees")["alone"])


@cache
def _at_most() -> re.Pattern[str]:
    return re.compile(rf"^\W*({'|'.join(map(re.escape, table('employees')['at_most']))})")
