"""From a sender's field names and values to the canonical lead, touch and consent signals."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from ingest.domain.json_guard import Json
from ingest.domain.source import Inbound
from shared.contracts import ConsentSignal, Lead, Touch

_ALIASES: dict[str, str] = {
    "email": "email emailaddress mail workemail businessemail contactemail youremail useremail emailid eposta",
    "phone": "phone phonenumber telephone tel mobile mobilephone mobilenumber cell cellphone workphone businessphone "
    "yourphone yourtel contactnumber telefon",
    "first_name": "firstname fname givenname forename first vorname yourfirstname namefirst",
    "last_name": "lastname lname surname familyname last nachname yourlastname namelast",
    "full_name": "name fullname yourname contactname username displayname",
    "title": "title jobtitle position role jobrole jobposition",
    "company": "company companyname organization organisation org employer business businessname account accountname "
    "yourcompany firma organizationname organisationname",
    "website": "website companywebsite web companyurl domain companydomain",
    "country": "country countrycode countryname land addresscountry",
    "region": "region state province stateprovince stateregion addressstate addressregion",
    "city": "city town addresscity ort",
    "industry": "industry sector vertical branche",
    "employees": "employees numberofemployees noofemployees employeecount companysize numemployees headcount teamsize "
    "companyemployees",
    "language": "language lang locale preferredlanguage hslanguage",
    "message": "message comments comment notes description inquiry question howcanwehelp yourmessage nachricht",
    "utm_source": "utmsource",
    "utm_medium": "utmmedium",
    "utm_campaign": "utmcampaign",
    "utm_term": "utmterm utmkeyword",
    "utm_content": "utmcontent",
    "click_id": "clickid gclid fbclid msclkid lifatid ttclid gbraid wbraid hsanalyticsgoogleclickid",
    "landing_page": "landingpage pageurl page url pageuri formurl landingpageurl",
    "referrer": "referrer referer referrerurl",
    "consent": "consent marketingconsent gdprconsent optin optinmarketing privacyconsent acceptsmarketing gdpr",
}
_CANONICAL_BY_ALIAS: Final = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}
CANONICAL_FIELDS: Final = frozenset(_ALIASES)
_WRAPPERS: Final = frozenset(
    {
        "data", "lead", "contact", "person", "fields", "address", "properties", "attributes", "utm", "registrant",
        "visitor", "user", "traits", "form", "payload", "record", "customer", "profile", "hidden",
    }
)  # fmt: skip
_LEAD_FIELDS: Final = frozenset(Lead.__struct_fields__) - {"custom", "employees"}
_TOUCH_FIELDS: Final = frozenset(Touch.__struct_fields__)

MAX_TEXT: Final = 300
MAX_MESSAGE: Final = 5_000
MAX_URL: Final = 2_000
MAX_CUSTOM_FIELDS: Final = 50
_MAX_LEAVES: Final = 400
_CONTAINERS: Final = frozenset((dict, list))
# Control characters, and the marks that turn the direction of text: none belongs in a CRM field or a mail subject.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_NEWLINE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TRUE: Final = frozenset(("true", "1", "yes", "on", "y", "checked", "given", "agree", "accepted", "ja", "oui", "si"))
_FALSE: Final = frozenset(("false", "0", "no", "off", "n", "unchecked", "refused", "declined", "nein", "non", ""))
_NUMBER = re.compile(r"\d{1,3}(?:[,.' ]\d{3})+|\d+")


class MappedFields(msgspec.Struct, frozen=True, kw_only=True):
    """The result: fields as sent (not normalised), tidied of control characters and cut to what a CRM field holds."""

    lead: Lead
    touch: Touch
    consent: tuple[ConsentSignal, ...]


def map_fields(pairs: Iterable[tuple[str, Json]], inbound: Inbound, *, is_absent_refusal: bool = False) -> MappedFields:
    """Return what *pairs* (field name, value) say.

    The first non-empty value of a field wins; unknown names become custom fields. ``is_absent_refusal``: the form has
    a consent box and browsers do not send an unticked one, so its absence is a refusal.
    """
    source = inbound.source
    notice = source.defaults.consent
    consent_name = _plain(notice.field) if notice is not None else None
    mapping = source.field_mapping
    known: dict[str, str] = {}
    custom: dict[str, str] = {}
    is_ticked: bool | None = None
    is_own_box = False
    for name, value in pairs:
        canonical, plain = _resolve(name)
        if mapping:
            canonical = mapping.get(name, canonical)
        if canonical == "consent" or plain == consent_name:
            ticked = _as_choice(value)
            if ticked is not None:
                if not is_own_box:  # the box that the notice names outranks any other that looks like one
                    is_ticked, is_own_box = ticked, plain == consent_name
                continue
        text = value.strip() if type(value) is str else _as_text(value)
        if not text:
            continue
        if canonical in CANONICAL_FIELDS:
            known.setdefault(canonical, text)
        elif len(custom) < MAX_CUSTOM_FIELDS and name != source.honeypot_field:
            custom.setdefault(_line(canonical or name), _line(text, MAX_MESSAGE))
    if is_ticked is None and notice is not None and is_absent_refusal:
        is_ticked = False
    return MappedFields(
        lead=_lead_of(known, custom, inbound),
        touch=_touch_of(known, inbound),
        consent=() if is_ticked is None else (_signal(inbound, is_given=is_ticked),),
    )


def flatten(value: Json, limit: int = _MAX_LEAVES) -> Iterator[tuple[str, Json]]:
    """Yield (dotted name, scalar or list of scalars) of a JSON object; at most *limit* leaves."""
    if isinstance(value, dict) and not any(type(member) in _CONTAINERS for member in value.values()):
        yield from itertools.islice(value.items(), limit)  # most are flat
        return
    pending: list[tuple[str, Json]] = [("", value)]
    count = 0
    while pending and count < limit:
        name, node = pending.pop()
        if isinstance(node, dict):
            prefix = f"{name}." if name else ""
            pending.extend((f"{prefix}{key}", member) for key, member in reversed(node.items()))
        elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
            pending.extend((f"{name}.{index}", item) for index, item in reversed(list(enumerate(node))))
        elif name:
            count += 1
            yield name, node


def text_at(payload: Json, *path: str) -> str | None:
    """Return the non-empty text (or number as text) at *path* of nested objects, tidied to one line; else None."""
    node = payload
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return _line(_as_text(node)) or None


def canonical_name(name: str) -> str | None:
    """Return the canonical field that *name* is one of the usual names of."""
    return _resolve(name)[0]


@lru_cache(maxsize=4_096)
def _resolve(name: str) -> tuple[str | None, str]:
    """Return (canonical field or None, the name without case and signs)."""
    plain = _plain(name)
    canonical = _CANONICAL_BY_ALIAS.get(plain)
    if canonical is None and "." in name:
        parent, _, leaf = name.rpartition(".")
        if _plain(parent.rpartition(".")[2]) in _WRAPPERS:
            canonical = _CANONICAL_BY_ALIAS.get(_plain(leaf))
    return canonical, plain


@lru_cache(maxsize=4_096)
def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _as_text(value: Json) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return ", ".join(text for text in (_as_text(item) for item in value) if text)
    return ""


def _as_choice(value: Json) -> bool | None:
    if isinstance(value, bool):
        return value
    text = _as_text(value).lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _line(text: str, limit: int = MAX_TEXT) -> str:
    if not text.isprintable():
        text = " ".join(_CONTROL.sub(" ", text).split())
    return text if len(text) <= limit else text[:limit].rstrip()


def _paragraphs(text: str) -> str:
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL_BUT_NEWLINE.sub(" ", unified)[:MAX_MESSAGE].rstrip()


def _lead_of(known: Mapping[str, str], custom: dict[str, str], inbound: Inbound) -> Lead:
    values: dict[str, Any] = {}
    for name, text in known.items():
        if name == "message":
            values[name] = _paragraphs(text)
        elif name in _LEAD_FIELDS:
            values[name] = _line(text)
        elif name == "employees":
            number, is_exact = _headcount(text)
            values[name] = number
            if not is_exact:
                custom.setdefault("employees_as_sent", _line(text))
    if "full_name" in known and not ("first_name" in values or "last_name" in values):
        values["first_name"], values["last_name"] = split_name(_line(known["full_name"]))
    defaults = inbound.source.defaults
    values.setdefault("country", defaults.country)
    values.setdefault("language", defaults.language)
    return Lead(**values, custom=custom)


def split_name(name: str) -> tuple[str | None, str | None]:
    """Return (first, last) of a full name: before the comma is the last name, else the first word is the first name."""
    last, comma, first = name.partition(",")
    if not comma:
        first, _, last = name.partition(" ")
    return first.strip() or None, last.strip() or None


def _headcount(text: str) -> tuple[int | None, bool]:
    """Return the number of people *text* speaks of (of a range its lower end: so many are certain), and is it exact."""
    match = _NUMBER.search(text)
    if match is None:
        return None, False
    digits = "".join(character for character in match[0] if character.isdecimal())
    number = int(digits[:9])
    return number, match[0] == text


def _touch_of(known: Mapping[str, str], inbound: Inbound) -> Touch:
    values = {
        name: _line(text, MAX_URL if name in {"landing_page", "referrer"} else MAX_TEXT)
        for name, text in known.items()
        if name in _TOUCH_FIELDS
    }
    if inbound.is_form and "landing_page" not in values and b"referer" in inbound.headers:
        values["landing_page"] = _line(inbound.headers[b"referer"].decode("latin-1"), MAX_URL)
    page = values.get("landing_page", "")
    if "utm_" in page and not any(name.startswith("utm_") for name in values):
        values |= _utm_of(page)
    if inbound.source.defaults.campaign and "utm_campaign" not in values:
        values["utm_campaign"] = inbound.source.defaults.campaign
    return Touch(**values)


def _utm_of(page: str) -> dict[str, str]:
    try:
        query = parse_qs(urlsplit(page).query, max_num_fields=50)
    except ValueError:
        return {}
    return {
        name: _line(values[0])
        for name, values in query.items()
        if name in _TOUCH_FIELDS and name.startswith("utm_") and values[0].strip()
    }


def _signal(inbound: Inbound, *, is_given: bool) -> ConsentSignal:
    notice = inbound.source.defaults.consent
    method = f"{inbound.source.kind}_checkbox"
    state: Literal["given", "refused"] = "given" if is_given else "refused"
    if notice is None:  # a tick beside a text nobody told us: a statement, not a proof
        return ConsentSignal(
            state=state,
            purposes=("sales_contact",),
            channels=("email", "phone"),
            at=inbound.received_at,
            method=method,
        )
    return ConsentSignal(
        state=state,
        purposes=notice.purposes,
        channels=notice.channels,
        at=inbound.received_at,
        method=method,
        lawful_basis=notice.lawful_basis,
        notice_version=notice.notice_version,
        text_shown=notice.text_shown,
    )
