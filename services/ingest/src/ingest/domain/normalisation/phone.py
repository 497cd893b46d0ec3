"""Phone numbers: E.164 or a reason. Metadata only (phonenumberslite), never a geocoder."""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

import phonenumbers

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
_DIGITS = re.compile(r"\d")
_INTERNATIONAL = re.compile(r"^[\s(\[]*(?:\+|00)[\s()\[\].-]*[1-9]")
_PLACEHOLDERS = ("1234567", "7654321", "0123456")


class Phone(NamedTuple):
    """One number read from text: E.164 and the country it belongs to (alpha-2; None for satellite and the like)."""

    e164: str | None
    country: str | None = None
    problem: PhoneProblem | None = None


def fold_phone(text: str | None, country: str | None = None) -> str | None:
    """E.164, or None when *text* is not certainly one number. *country*: alpha-2 of whoever wrote a national number."""
    return None if text is None else read_phone(text, country).e164


@lru_cache(maxsize=4096)  # the door folds, the enrich worker reads again: a hit costs 0.1 µs, a parse 25
def read_phone(text: str, country: str | None = None) -> Phone:
    """Never raises. Extensions are dropped. A number no operator hands out, and one typed to get past a required field
    (``0000000``, ``1234567``), stays unset: it would merge strangers into one lead."""
    text = text.strip()
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
    national = str(number.national_number)
    if len(set(national[-7:])) == 1 or national.endswith(_PLACEHOLDERS):
        return Phone(None, problem="placeholder")
    region = phonenumbers.region_code_for_number(number)
    if region is None:
        return Phone(None, problem=_problem_of_length(number))
    home = region if len(region) == 2 and region.isalpha() else None
    return Phone(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), home)


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
