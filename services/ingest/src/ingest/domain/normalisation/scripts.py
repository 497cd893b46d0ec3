"""Words that look like other words: letters of two alphabets in one label, or a label made of another's look-alikes."""

import unicodedata

# Letters of Cyrillic, Greek, Armenian and Cherokee drawn like Latin ones (Unicode TR39 confusables, lower case).
_LATIN_TWINS = frozenset("авеһіїјӏкмнорԛгѕтьԝухѵүӽғԁԍѡҽҿӓӧӱαβγεηικνορτυχωϲϳսոցօհյզք")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


def is_lookalike(word: str) -> bool:
    """True when *word* mixes Latin, Cyrillic, Greek, Armenian or Cherokee letters, or is one of the latter throughout
    but drawn with letters that read as Latin ("apple" spelt in Cyrillic). A word in one honest alphabet never is."""
    if word.isascii():
        return False
    letters = [character for character in word.casefold() if character.isalpha()]
    scripts = {script for letter in letters if (script := _script(letter))}
    if len(scripts) > 1:
        return True
    return bool(letters) and "LATIN" not in scripts and all(letter in _LATIN_TWINS for letter in letters)


def _script(letter: str) -> str | None:
    name = unicodedata.name(letter, "")
    return next((script for script in _SCRIPTS if name.startswith(script)), None)
