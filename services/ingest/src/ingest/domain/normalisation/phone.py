"""Phone numbers: E.164 or a reason. Metadata only (phonenumberslite), never a geocoder."""

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

import phonenumbers

from ingest.domain.normalisation.country import read_country

PhoneProblem = Literal[
    "not_a_number",
    "country_needed",
    "too_short",
    "too_long",
    "not_assigned",
    "placeholder",
    "several_numbers",
    "short_code",
]

_LONGEST = 64
_LABEL = re.compile(r"^(?:tel|phone|telefon|fon|t|mobile|mob|cell|m)\b[.:]*\s*(?=[+(\d])", re.IGNORECASE)
_DIGITS = re.compile(r"\d")
_INTERNATIONAL = re.compile(r"^[\s(\[]*(?:\+|00)[\s()\[\].-]*[1-9]")
_PLACEHOLDERS = ("1234567", "7654321")
_COUNTED = frozenset({"123456", "12345678", "123456789", "1234567890", "987654321"})


class Phone(NamedTuple):
    """One number read from text: E.164 and the country it belongs to (alpha-2; None for satellite and the like)."""

    e164: str | None
    country: str | None = None
    problem: PhoneProblem | None = None


def fold_phone(text: str | None, country: str | None = None) -> str | None:
    """E.164, or None when *text* is not certainly one number. *country*: of who wrote a national number, as typed."""
    if text is None:
        return None
    return read_phone(text, read_country(country) if country is not None else None).e164


@lru_cache(maxsize=4096)  # the door folds, the enrich worker reads again: a hit costs 0.1 µs, a parse 25
def read_phone(text: str, country: str | None = None) -> Phone:
    """Never raises. Extensions are dropped. A number no operator hands out, and one typed to get past a required field
    (``0000000``, ``1234567``), stays unset: it would merge strangers into one lead."""
    text = _LABEL.sub("", text.strip())
    if not text.isascii():
        text = "".join(character for character in unicodedata.normalize("NFKC", text) if character.isprintable())
    if not text or len(text) > _LONGEST or len(_DIGITS.findall(text)) < 3:
        return Phone(None, problem="not_a_number")
    if text.count("+") > 1:
        return Phone(None, problem="several_numbers")
    is_international = _INTERNATIONAL.match(text) is not None
    if is_international:
        text = re.sub(r"^([\s(\[]*)00", r"\1+", text)
    elif country is None:
        return Phone(None, problem="country_needed")
    try:
        number = phonenumbers.parse(text, None if is_international else country)
    except phonenumbers.NumberParseException as refusal:
        return Phone(None, problem=_PROBLEM_OF_PARSE.get(refusal.error_type, "not_a_number"))
    if not is_international and _starts_with_own_code(text, number):
        number = _prefer_international(text, number)
    national = str(number.national_number)
    if len(set(national[-7:])) == 1 or national.endswith(_PLACEHOLDERS) or national in _COUNTED:
        return Phone(None, problem="placeholder")
    region = phonenumbers.region_code_for_number(number)
    if region is None or not phonenumbers.is_valid_number_for_region(number, region):
        return Phone(None, problem=_problem_of_length(number))
    home = region if len(region) == 2 and region.isalpha() else None
    return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), home)


def _starts_with_own_code(text: str, number: phonenumbers.PhoneNumber) -> bool:
    digits = "".join(_DIGITS.findall(text))
    return len(digits) >= 11 and digits.startswith(str(number.country_code))


def _prefer_international(text: str, national: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """``49 151 23456789`` typed in Germany: the plus was left out, since a national number begins with 0 there."""
    try:
        number = phonenumbers.parse(f"+{text.lstrip(' (')}", None)
    except phonenumbers.NumberParseException:
        return national
    return number if phonenumbers.is_valid_number(number) else national


_PROBLEM_OF_PARSE: dict[int, PhoneProblem] = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "country_needed",
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "too_short",
    phonenumbers.NumberParseException.TOO_SHORT_NSN: "too_short",
    phonenumbers.NumberParseException.TOO_LONG: "too_long",
}


def _problem_of_length(number: phonenumbers.PhoneNumber) -> PhoneProblem:
    match phonenumbers.is_possible_number_with_reason(number):
        case phonenumbers.ValidationResult.TOO_SHORT | phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            return "too_short"
        case phonenumbers.ValidationResult.TOO_LONG:
            return "too_long"
        case _:
            return "not_assigned"
