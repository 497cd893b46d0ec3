"""What the rules say of a lead: suppression, withdrawal, objection, the first rule that holds, else no.

Read straight from the YAML document and from what was said, statement by statement.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import yaml

CHANNELS = ("email", "phone", "sms")
PURPOSES = ("sales_contact", "marketing", "profiling", "sale_share")
NOES = ("refused", "withdrawn", "objected")
EEA = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
    "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
}  # fmt: skip
OWN_LAW = {"DE": "DE", "GB": "UK", "UK": "UK", "CA": "CA"}
CALENDARS_DIFFER = timedelta(days=4)  # one instant has two dates; at a month's end that moves a term by days


class NotJudged(Exception):
    """The situation is not one that this evaluation knows."""


class Said(NamedTuple):
    """One line of the ledger: a statement, or what makes a relation (inquiry, purchase)."""

    record_id: str
    state: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    happened_at: datetime
    known_at: datetime
    method: str
    notice_version: str | None
    is_double_opt_in: bool

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        return (self.happened_at, self.known_at, self.record_id)

    @property
    def is_proved(self) -> bool:
        """A grant counts with the notice that was shown and the method; a box ticked for the person is none."""
        preticked = "preticked" in re.sub("[-_]", "", self.method).lower()
        return self.state == "given" and bool(self.notice_version) and bool(self.method) and not preticked


class Answer(NamedTuple):
    """Whether contact is allowed, and which rule says so."""

    is_allowed: bool
    rule_id: str


def read_rules(text: str) -> dict[str, Any]:
    rules: dict[str, Any] = yaml.safe_load(text)
    return rules


def place_of(lead: Mapping[str, Any]) -> str:
    country, region = (str(lead.get(name) or "").strip().upper() for name in ("country", "region"))
    if country == "US":
        return "US-CA" if region in {"US-CA", "CA"} else "US"
    return OWN_LAW.get(country, "EEA" if country in EEA else "UNKNOWN")


def has_address(lead: Mapping[str, Any], channel: str) -> bool:
    if channel == "email":
        return "@" in (lead.get("email") or "")
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", lead.get("phone") or "") is not None


def decide(
    rules: Mapping[str, Any],
    profile: Mapping[str, Any],
    said: Sequence[Said],
    closed: Iterable[str],
    purpose: str,
    at: datetime,
) -> dict[str, Answer]:
    """Return the answer per channel at *at* about somebody with *profile* (an event with ``lead`` and ``facts``)."""
    return {
        channel: _decide(rules, profile, said, purpose, channel, at)
        if channel not in closed
        else Answer(
            is_allowed=False, rule_id="SUPPRESSION" if has_address(profile["lead"], channel) else "DEFAULT-DENY"
        )
        for channel in CHANNELS
    }


def _decide(
    rules: Mapping[str, Any],
    profile: Mapping[str, Any],
    said: Sequence[Said],
    purpose: str,
    channel: str,
    at: datetime,
) -> Answer:
    if not has_address(profile["lead"], channel):
        return Answer(is_allowed=False, rule_id="DEFAULT-DENY")
    relations = [one for one in said if one.state in {"inquiry", "purchase"}]
    heard = sorted(
        (one for one in said if purpose in one.purposes and channel in one.channels), key=lambda one: one.order
    )
    noes = [one for one in heard if one.state in NOES]
    last_no = max((one.happened_at for one in noes), default=None)
    is_renewed = any(one.is_proved and (last_no is None or one.happened_at > last_no) for one in heard)
    if not is_renewed:
        for state, rule_id in (("withdrawn", "WITHDRAWAL"), ("objected", "OBJECTION")):
            if any(one.state == state for one in noes):
                return Answer(is_allowed=False, rule_id=rule_id)
    place = place_of(profile["lead"])
    first = None
    for rule in _covering(rules, place, channel, profile["facts"].get("subject_kind", "individual"), purpose):
        first = first or rule["id"]
        if _holds(rule, place, heard, relations, at):
            return Answer(is_allowed=True, rule_id=rule["id"])
    return Answer(is_allowed=False, rule_id=first or "DEFAULT-DENY")


def _covering(rules: Mapping[str, Any], place: str, channel: str, kind: str, purpose: str) -> list[Mapping[str, Any]]:
    law = rules["strictest"] if place == "UNKNOWN" else place
    return [
        rule
        for rule in rules["rules"]
        if law in rule["jurisdictions"]
        and channel in rule["channels"]
        and kind in rule["subject_kinds"]
        and purpose in rule["purposes"]
    ]


def _holds(rule: Mapping[str, Any], place: str, heard: Sequence[Said], relations: Sequence[Said], at: datetime) -> bool:
    """Tell whether what the rule asks for is there, and nobody said no since."""
    basis = rule["basis"]
    if place == "UNKNOWN" and basis not in {"consent", "double_opt_in"}:
        return False
    if basis in {"opt_out", "none_needed"}:
        return True
    if basis in {"consent", "double_opt_in"}:
        found = [one for one in heard if one.is_proved and (basis == "consent" or one.is_double_opt_in)]
    elif basis == "relation":
        found = sorted((one for one in relations if one.state == rule["relation"]), key=lambda one: one.order)
    else:
        raise NotJudged(f"basis {basis}")
    if not found or (basis == "relation" and not _is_current(rule, found[-1], at)):
        return False
    return all(one.happened_at < found[-1].happened_at for one in heard if one.state in NOES)


def _is_current(rule: Mapping[str, Any], relation: Said, at: datetime) -> bool:
    if relation.happened_at > at:
        return False
    if rule.get("months") is None:
        return True
    ends_at = _add_months(relation.happened_at, rule["months"])
    if abs(ends_at - at) < CALENDARS_DIFFER:
        raise NotJudged("a term that ends in these days")
    return at < ends_at


def _add_months(instant: datetime, months: int) -> datetime:
    years, month = divmod(instant.month - 1 + months, 12)
    last = monthrange(instant.year + years, month + 1)[1]
    return instant.replace(year=instant.year + years, month=month + 1, day=min(instant.day, last))
