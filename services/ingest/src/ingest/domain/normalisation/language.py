"""Languages as short tags: ``de``, ``pt-BR``."""

import re
from functools import cache, lru_cache

from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import lookup_key

_TAG = re.compile(r"([A-Za-z]{2})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}))?(?:[.@;,].*)?")


@lru_cache(maxsize=1024)
def read_language(text: str) -> str | None:
    """A BCP 47 tag of language, script and country, or None."""
    tag = _TAG.fullmatch(text)
    if tag is None:
        return _names().get(lookup_key(text[:40]))
    language, script, country = tag[1].lower(), tag[2], tag[3]
    parts = [language, script.title() if script else None, country.upper() if country else None]
    return "-".join(part for part in parts if part)


@cache
def _names() -> dict[str, str]:
    return {name: tag for tag, names in table("languages")["languages"].items() for name in names}
