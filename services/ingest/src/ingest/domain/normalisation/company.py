"""Companies: the name to show, the name to match by, and the domain that stands for them."""

import re
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

from ingest.domain.normalisation.reference import free_domains, table
from ingest.domain.normalisation.text import clean, is_placeholder, lookup_key

_LIMIT = 200
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_QUERY = re.compile(r"[?#]")
_UNSAFE_PATH = re.compile(r"[\s<>\"'`{}|^\\].*")
_DOTTED = re.compile(r"\b(?:[^\W\d_]\.){1,5}[^\W\d_]?\b")


def read_company(text: str | None) -> tuple[str | None, str | None]:
    """(name, problem): the name as written, or unset when it is a placeholder or says that there is no company."""
    name = clean(text, _LIMIT)
    if name is None:
        return None, None
    key = lookup_key(name)
    if is_placeholder(key):
        return None, "placeholder"
    return (None, "no_company") if key in _words("no_company") else (name, None)


@lru_cache(maxsize=4096)
def fold_company(text: str) -> str:
    """The spelling under which two names are one company: no accents, case, punctuation, legal form, ``the`` or ``&``.

    ``ACME GmbH & Co. KG``, ``Acme, Inc.`` and ``acme`` fold alike; a name that is only a legal form is kept whole."""
    key = (
        lookup_key(_DOTTED.sub(lambda match: match[0].replace(".", ""), text[:_LIMIT]))
        .replace("&", " and ")
        .replace("+", " and ")
    )
    key = " ".join(key.split())
    words = _phrases("spaced_forms", r"\b({})$").sub(lambda match: match[0].replace(" ", ""), key).split()
    if len(words) > 1 and words[0] == "the":
        del words[0]
    forms = _words("legal_forms")
    while len(words) > 1:
        size = next((size for size in (4, 3, 2, 1) if size < len(words) and " ".join(words[-size:]) in forms), 0)
        if size == 0:
            break
        del words[-size:]
        while len(words) > 1 and words[-1] in {"and", "y", "et", "und"}:
            del words[-1]
    if len(words) > 1 and words[0] in _words("leading_forms"):
        del words[0]
    return " ".join(words)


def is_sole_trader(company: str) -> bool:
    """True when the name says that a person, and no legal body, is behind it (for PECR an individual)."""
    return _phrases("sole_trader", r"\b({})\b").search(lookup_key(company)) is not None


@lru_cache(maxsize=4096)
def registrable_domain(host: str) -> str | None:
    """``www.shop.acme.co.uk`` → ``acme.co.uk``; None for a bare suffix. Names below a private suffix
    (``acme.github.io``) stay apart."""
    found: str | None = _public_suffixes().privatesuffix(host)
    return found


@lru_cache(maxsize=1024)
def read_website(text: str) -> str | None:
    """``https://host/path`` with the host in lower case, or None when it is no web address. No query, user or port."""
    text = clean(text, 500) or ""
    scheme, host, path = "https", text.lower(), ""
    if not _HOST.fullmatch(host):
        scheme, host, path = _split_address(text)
    if scheme not in {"http", "https"} or len(host) > 253 or not _HOST.fullmatch(host):
        return None
    return f"{scheme}://{host}/{path}" if path else f"{scheme}://{host}"


def _split_address(text: str) -> tuple[str, str, str]:
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "https", text
    authority, _, path = _QUERY.split(rest.replace("\\", "/"), maxsplit=1)[0].partition("/")
    host = authority.rpartition("@")[2].partition(":")[0].strip(".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            host = ""
    return scheme.lower(), host, _UNSAFE_PATH.sub("", path).strip("/")


def domain_of_website(website: str) -> str | None:
    """The registrable domain of a read website; None for a page on another's site (LinkedIn, a free mail host)."""
    host = website.partition("://")[2].partition("/")[0]
    domain = registrable_domain(host)
    return None if domain is None or domain in _words("shared_sites") or domain in free_domains() else domain


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # 40 ms, once; 2 µs a look-up


@cache
def _words(name: str) -> frozenset[str]:
    """A list of company.toml."""
    return frozenset(table("company")[name])


@cache
def _phrases(name: str, pattern: str) -> re.Pattern[str]:
    """A list of company.toml as one pattern, longest first."""
    return re.compile(pattern.format("|".join(sorted(table("company")[name], key=len, reverse=True))))
