"""Job titles: how senior, and where in the company."""

from functools import cache, lru_cache
from typing import NamedTuple, cast, get_args

from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import is_placeholder, lookup_key
from shared.contracts.lead import Department, Seniority

_RANKS = (
    "individual",
    "senior",
    "manager",
    "director",
    "vp",
    "c_level",
)  # low to high: the highest word of a title wins
_LONGEST_PHRASE = 4


class Role(NamedTuple):
    """What a title says; ``unknown`` where it says nothing."""

    seniority: Seniority
    department: Department


class _Phrase(NamedTuple):
    seniority: str | None
    department: str | None


@lru_cache(maxsize=8192)  # titles repeat: a hit costs 0.1 µs, a reading 4 to 8
def read_title(text: str) -> Role:
    """What the title says, ``unknown`` where it says nothing. Never raises.

    The highest rank named wins ("Senior Director" is a director), except that assisting, studying and having been one
    wins over what is assisted, studied or left. The department is the first one named ("VP Sales & Marketing": sales).
    """
    key = lookup_key(text[:200])
    if is_placeholder(key):
        return Role("unknown", "unknown")
    phrases = _phrases_of(key)
    overriding = next(
        (phrase.seniority for phrase in phrases if phrase.seniority in {"assisting", "student", "former"}), None
    )
    ranks = [_RANKS.index(phrase.seniority) for phrase in phrases if phrase.seniority in _RANKS]
    department = next((phrase.department for phrase in phrases if phrase.department is not None), None)
    match overriding:
        case "student":
            seniority = "student"
        case "former":
            return Role("unknown", "unknown")
        case "assisting":
            return Role("individual", "operations")
        case _:
            seniority = _RANKS[max(ranks)] if ranks else "individual" if department else "unknown"
    if department is None and seniority == "c_level":
        department = "executive"
    return Role(cast(Seniority, seniority), cast(Department, department or "unknown"))


def _phrases_of(key: str) -> list[_Phrase]:
    """The phrases of the table in the title, longest first at each word, left to right."""
    known = _phrases()
    words = key.split()
    found: list[_Phrase] = []
    at = 0
    while at < len(words):
        for size in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
            phrase = known.get(" ".join(words[at : at + size]))
            if phrase is not None:
                found.append(phrase)
                at += size
                break
        else:
            found.extend(_compound(words[at]))
            at += 1
    return found


def _compound(word: str) -> list[_Phrase]:
    """German and Dutch put department and rank in one word (Vertriebsleiterin), Chinese and Japanese the whole."""
    parts = table("titles")
    if not word.isascii():
        return [_Phrase(*_pair(value)) for part, value in parts["inside"].items() if part in word]
    found = []
    if len(word) > 6:
        found += [_Phrase(None, value) for part, value in parts["stems"].items() if word.startswith(part)][:1]
        found += [_Phrase(value, None) for part, value in parts["endings"].items() if word.endswith(part)][:1]
    return found


@cache
def _phrases() -> dict[str, _Phrase]:
    """Lookup key to what it says. A word that is listed as a rank and as a department says both."""
    titles = table("titles")
    ranks = {lookup_key.__wrapped__(word): rank for rank, words in titles["seniority"].items() for word in words}
    departments = {lookup_key.__wrapped__(word): name for name, words in titles["department"].items() for word in words}
    known = {word: _Phrase(ranks.get(word), departments.get(word)) for word in ranks.keys() | departments.keys()}
    return known | {lookup_key.__wrapped__(word): _Phrase(*_pair(pair)) for word, pair in titles["both"].items()}


def _pair(value: str) -> tuple[str | None, str | None]:
    seniority, _, department = value.partition("/")
    if department and department not in get_args(Department):
        raise ValueError(f"titles.toml: no such department: {department}")
    return seniority or None, department or None
