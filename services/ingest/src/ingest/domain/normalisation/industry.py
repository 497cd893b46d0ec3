"""Industries in one scheme of 23 values, the words the shipped scoring model looks for."""

from functools import cache, lru_cache

from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import lookup_key

_LONGEST_PHRASE = 5


@lru_cache(maxsize=4096)
def read_industry(text: str) -> str | None:
    """One of ``industries()``, or None when *text* names none of them, or several. Never raises.

    A whole spelling is looked up first ("Media & Entertainment"); else its phrases, longest first, must all agree.
    """
    known = _spellings()
    key = lookup_key(text[:200])
    plain = key.removesuffix(" industry").removesuffix(" sector").removesuffix(" branche")
    whole = known.get(key) or known.get(plain) or known.get(plain.replace(" and ", " & "))
    if whole is not None:
        return whole
    named = set(_named(plain.split()))
    return named.pop() if len(named) == 1 else None


@cache
def industries() -> frozenset[str]:
    """The scheme."""
    return frozenset(table("industries")["industries"])


def _named(words: list[str]) -> list[str]:
    known = _spellings()
    found: list[str] = []
    at = 0
    while at < len(words):
        for size in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
            industry = known.get(" ".join(words[at : at + size]))
            if industry is not None:
                found.append(industry)
                at += size
                break
        else:
            at += 1
    return found


@cache
def _spellings() -> dict[str, str]:
    known: dict[str, str] = {}
    for industry, spellings in table("industries")["industries"].items():
        known |= {lookup_key.__wrapped__(spelling): industry for spelling in (industry, *spellings)}
    return known
