"""Text as it may leave this service: printable, one line, composed, bounded; and text as it is looked up."""

import re
import unicodedata
from functools import lru_cache

_JOINERS = "\u200c\u200d"  # Persian and Indic spelling needs them between letters; every other invisible goes
_SEPARATORS = re.compile(r"[^\w+#&]+|_+")
_BARE_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "'": "", "’": ""})
_NOTHING = frozenset(
    {
        "", "na", "n a", "none", "null", "nil", "nan", "undefined", "unknown", "not applicable", "not available", "not provided", "no",
        "test", "testing", "xxx", "xx", "x", "asdf", "asdfasdf", "qwerty", "abc", "keine", "keine angabe", "k a", "ka", "aucun", "aucune",
        "ninguno", "ninguna", "nenhum", "nessuno", "geen", "other", "others", "please select", "select", "select one", "bitte wahlen", "tbd",
    }
)  # fmt: skip


def clean(text: str | None, limit: int) -> str | None:
    """The text on one line of at most *limit* characters, or None when nothing is left.

    CR, LF, NUL, other control and format characters (bidirectional overrides, zero-width spaces, byte order marks),
    lone surrogates and unassigned code points never survive: a header, a subject or a CRM field may hold the result.
    """
    if text is None:
        return None
    text = text[: 4 * limit]  # a hostile megabyte is cut before anything walks over it
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", "".join(map(_visible, text)))
    text = " ".join(text.split())
    if len(text) > limit:
        text = text[:limit]
    return text.strip(" " + _JOINERS) or None


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() or unicodedata.category(character) == "Cc" else ""


@lru_cache(maxsize=8192)  # job titles, industries and countries repeat: a hit costs 0.1 µs, a fold 1 to 8 µs
def lookup_key(text: str) -> str:
    """The spelling tables are keyed by: no accents, no case, no punctuation, single spaces. ``&``, ``+``, ``#`` stay."""
    if text.isascii():
        return _SEPARATORS.sub(" ", text.lower().replace("'", "")).strip()
    text = unicodedata.normalize("NFKD", text.casefold().translate(_BARE_LETTERS))
    return " ".join("".join(map(_keyed, text)).split())


def _keyed(character: str) -> str:
    """Accents of Latin, Greek and Cyrillic go; vowel signs of other scripts are letters and stay."""
    if "\u0300" <= character <= "\u036f":
        return ""
    return character if character.isalnum() or character in "+#&" or unicodedata.category(character)[0] == "M" else " "


def is_placeholder(key: str) -> bool:
    """True for what people type to get past a required field. *key*: a lookup_key."""
    return key in _NOTHING or not any(map(str.isalnum, key))
