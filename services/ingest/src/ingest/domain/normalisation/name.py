"""Names of people: first and last, in the spelling a salutation can use."""

import re
import unicodedata

from ingest.domain.normalisation.reference import table
from ingest.domain.normalisation.text import PLACEHOLDERS, clean, is_placeholder, lookup_key

_LIMIT = 100
_PARTICLES = frozenset(table("names")["particles"])
_CAPITAL_PARTICLES = frozenset({"santa", "st", "st.", "ver"})
_HONORIFICS = frozenset(table("names")["honorifics"])
_ABBREVIATED = frozenset(table("names")["abbreviated"])
_AFTER_NAME = frozenset(table("names")["after_name"])
_GENERATIONS = {"jr": "Jr.", "snr": "Sr.", "sr": "Sr.", "jnr": "Jr.", "ii": "II", "iii": "III", "iv": "IV"}
_SPECIAL = _HONORIFICS | _AFTER_NAME | _GENERATIONS.keys() | PLACEHOLDERS
_NO_NAME = re.compile(r"https?:|www\.|@|[<>{}\[\]=|\\]|\d{3}")
_PARTS = re.compile(r"[.\-]+")
_BRACKETED = re.compile(r"\s*[(\"“„«][^)\"”“»]*[)\"”“»]\s*")
_INNER = re.compile(r"(?<=[-'’.])[^\W\d_]", re.UNICODE)
_CELTIC = re.compile(r"^(Mc|O['’]|D['’]|L['’])([^\W\d_])")


def read_name(first: str | None, last: str | None) -> tuple[str | None, str | None, str | None]:
    """(first, last, problem). Honorifics, degrees, nicknames in brackets and emoji are dropped; ``DOE, Jane`` is turned
    round; a whole name in one field is split; ALL CAPS and all small are cased, mixed case is left as written.
    """
    if first is not None and last is not None and _is_plain(first) and _is_plain(last):
        return first, last, None
    read = _read_once(first, last)
    for _ in range(3):  # what was turned round or stripped may now read as a plain name: until nothing changes
        again = _read_once(read[0], read[1])
        if again[:2] == read[:2]:
            break
        read = again
    return read


def _read_once(first: str | None, last: str | None) -> tuple[str | None, str | None, str | None]:
    first, last = _tidy(first), _tidy(last)
    if not first and not last:
        return None, None, None
    if _NO_NAME.search(f"{first or ''} {last or ''}"):
        return None, None, "not_a_name"
    if first is None or last is None:
        words_first, words_last = _split(first or last or "", is_first=first is not None)
    else:
        words_first, words_last = _without_titles(first.replace(",", " ")), _without_titles(last.replace(",", " "))
        if not words_first or (len(words_last) > 1 and len(words_first) == 1 and _is_honorific(words_first[0])):
            words_first, words_last = _split(last, is_first=False)  # "Frau" + "Erika Mustermann"
        elif len(words_first) > len(words_last) > 0 and words_first[-len(words_last) :] == words_last:
            words_first = words_first[: -len(words_last)]  # "Jane Doe" + "Doe"
    first, last = _cased(words_first, is_last=False), _cased(words_last, is_last=True)
    first, last = _kept(first), _kept(last)
    return first, last, None if first or last else "placeholder"


def _is_plain(word: str) -> bool:
    """True for Jane and for Doe: most names need no more than this look (0.5 µs instead of 15)."""
    return (
        1 < len(word) <= _LIMIT
        and word.isascii()
        and word.isalpha()
        and word.istitle()
        and word.lower() not in _SPECIAL
    )


def _kept(name: str | None) -> str | None:
    return None if name is None or is_placeholder(lookup_key(name)) else name


def _tidy(text: str | None) -> str | None:
    if text is None:
        return None
    text = clean(text, _LIMIT)
    if text is not None and not text.isascii():
        text = clean("".join(character for character in text if unicodedata.category(character)[0] != "S"), _LIMIT)
    if text is not None and ("(" in text or '"' in text or "“" in text or "„" in text or "«" in text):
        text = clean(_BRACKETED.sub(" ", text), _LIMIT)
    return text


def _split(text: str, *, is_first: bool) -> tuple[list[str], list[str]]:
    """First and last words of a whole name. The last name is what stands before a comma, else from the first particle
    on, else the last word (of four words and more without a particle the last two, as in Spanish and Portuguese)."""
    before, _, after = text.partition(",")
    behind = [word for word in after.replace(",", " ").split() if _plain(word) not in _AFTER_NAME]
    if behind and before.strip() and not (len(behind) == 1 and _plain(behind[0]) in _GENERATIONS):
        return _without_titles(" ".join(behind)), _without_titles(before)
    words = _without_titles(" ".join([before, *behind]))
    if len(words) < 2:
        return (words, []) if is_first else ([], words)
    generation = 1 if len(words) > 2 and _plain(words[-1]) in _GENERATIONS else 0
    core = len(words) - generation
    for at in range(1, core - 1):
        if words[at].lower() in _PARTICLES and not (words[at].lower() in {"e", "y"} and at > 1):
            return words[:at], words[at:]
    size = 2 if core >= 4 and "." not in words[core - 2] else 1
    return words[: core - size], words[core - size :]


def _without_titles(text: str) -> list[str]:
    """The words of a name less what stands before and after it. A name of one word stays: Don may be called so."""
    words = [word for word in text.split() if word.strip(" ,;.-_*/\\")]
    start, end = 0, len(words)
    while start < end and _is_honorific(words[start]) and (start < end - 1 or words[start].endswith(".")):
        start += 1
    while end > start + 1 and _is_degree(words[end - 1]):
        end -= 1
    return words[start:end]


def _is_honorific(word: str) -> bool:
    """True for Dr, Dr. and Dr.-Ing.; the initial of ``M. Night Shyamalan`` cannot be told from a French Monsieur."""
    parts = [part for part in _PARTS.split(word.lower().replace("ñ", "n")) if part]
    if word.isalpha():
        return len(word) > 1 and parts[0] in _HONORIFICS
    return bool(parts) and all(part in _HONORIFICS or part in _ABBREVIATED for part in parts)


def _is_degree(word: str) -> bool:
    """True for PhD, MBA and Esq.; Ma and Ba are names when written like one."""
    return _plain(word) in _AFTER_NAME and ("." in word or not word[1:].islower())


def _plain(word: str) -> str:
    return word.replace(".", "").replace("-", "").strip(",").lower()


def _cased(words: list[str], *, is_last: bool) -> str | None:
    if not words:
        return None
    name = " ".join(words)
    if (name.isupper() or name.islower()) and not (not is_last and name.isupper() and len(name.replace(".", "")) <= 2):
        spelled = [_word_cased(word, is_particle=is_last and at < len(words) - 1) for at, word in enumerate(words)]
        name = " ".join(spelled)
    return clean(name, _LIMIT)


def _capital(letter: str) -> str:
    """The capital of one letter; ß and others whose capital is two letters stay, or casing twice would differ."""
    capital = letter.upper()
    return capital if len(capital) == 1 else letter


def _word_cased(word: str, *, is_particle: bool) -> str:
    lower = word.lower()
    if is_particle and lower in _PARTICLES:
        return word.capitalize() if lower in _CAPITAL_PARTICLES else lower
    if lower.strip(".,") in _GENERATIONS and lower.strip(".,") != "sr":
        return _GENERATIONS[lower.strip(".,")]
    cased = _INNER.sub(lambda match: _capital(match[0]), _capital(lower[:1]) + lower[1:])
    return _CELTIC.sub(lambda match: match[1] + _capital(match[2]), cased) if len(cased) > 3 else cased
