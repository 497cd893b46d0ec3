"""Countries and their regions as ISO 3166 codes. A word that could mean two places, or a nationality, means none."""

import re
from functools import cache, lru_cache
from importlib import resources

import iso3166

from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import lookup_key

_AMBIGUOUS = frozenset({"congo", "kongo", "korea", "swiss"})  # Swiss is Indonesian for Switzerland, and a nationality
_PARTS = re.compile(r"[()\[\]/|,;–—]|\s-\s|\s:\s")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_ISO_REGION = re.compile(r"([A-Za-z]{2})-([A-Za-z0-9]{1,3})")


@lru_cache(maxsize=4096)
def read_country(text: str) -> str | None:
    """Alpha-2, or None when *text* is not certainly one country: a code (``de``, ``DEU``), a name in one of 37
    languages, a flag, or text of which the parts name one country (``Paris, France``). Never raises."""
    known = _countries()
    if len(text) == 2 and text.isascii() and text.upper() in iso3166.countries_by_alpha2:
        return text.upper()
    found = known.get(lookup_key(text)) or known.get(lookup_key(text).removeprefix("the "))
    if found is not None:
        return found
    flags = {_code_of_flag(flag) for flag in _FLAG.findall(text)}
    # A two-letter part is left unread: the CA of "San Francisco, CA" is no Canada.
    parts = (lookup_key(part) for part in _PARTS.split(_FLAG.sub(" ", text)))
    named = {known[part] for part in parts if part in known and (len(part) > 2 or part in {"uk", "us"})}
    candidates = named | {flag for flag in flags if flag in iso3166.countries_by_alpha2}
    return candidates.pop() if len(candidates) == 1 else None


@lru_cache(maxsize=4096)
def read_region(text: str, country: str | None) -> str | None:
    """ISO 3166-2 (``US-CA``), or None when not certain. Without a *country* only a full code is."""
    coded = _ISO_REGION.fullmatch(text)
    if coded is not None:
        home, code = coded[1].upper(), coded[2].upper()
        is_known = f"{home}-{code}" in _region_codes()
        return f"{home}-{code}" if is_known and country in {None, home} else None
    if country is None:
        return None
    regions = _regions().get(country, {})
    found = regions.get(lookup_key(text))
    if found is None:
        named = {regions[key] for part in _PARTS.split(text) if (key := lookup_key(part)) in regions}
        found = named.pop() if len(named) == 1 else None
    return found


def has_regions(country: str) -> bool:
    return country in _regions()


def is_country_code(code: str) -> bool:
    return code in iso3166.countries_by_alpha2


def _code_of_flag(flag: str) -> str:
    return "".join(chr(ord(letter) - 0x1F1E6 + ord("A")) for letter in flag)


@cache
def _countries() -> dict[str, str]:
    """Lookup key to alpha-2. 20 ms, 8,000 keys, once."""
    key = lookup_key.__wrapped__
    known: dict[str, str] = {}
    for country in iso3166.countries:
        known |= {key(name): country.alpha2 for name in (country.name, country.apolitical_name)}
        known[key(country.alpha3)] = country.alpha2
        known[key(country.alpha2)] = country.alpha2
    names = resources.files("ingest.domain.normalisation").joinpath("data", "countries.txt").read_text(encoding="utf-8")
    for line in names.splitlines():
        if line.startswith("#"):
            continue
        alpha2, *spellings = line.split("|")
        for spelling in spellings:
            known.setdefault(key(spelling), alpha2)
    for alpha2, spellings in table("country_aliases")["aliases"].items():
        known |= {key(spelling): alpha2 for spelling in spellings}
    return {spelling: alpha2 for spelling, alpha2 in known.items() if spelling not in _AMBIGUOUS}


@cache
def _regions() -> dict[str, dict[str, str]]:
    """Country to lookup key to ISO 3166-2."""
    return {
        country: {
            lookup_key.__wrapped__(spelling): f"{country}-{code}"
            for code, names in regions.items()
            for spelling in (code, *names)
        }
        for country, regions in table("regions").items()
    }


@cache
def _region_codes() -> frozenset[str]:
    return frozenset(code for regions in _regions().values() for code in regions.values())
