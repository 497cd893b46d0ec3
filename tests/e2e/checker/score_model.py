"""What a scoring model says of a lead, read straight from its YAML document. Plain and slow; points, not hundredths."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import yaml

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
LONGEST_TEXT = 200
LETTERS = ("A", "B", "C")
PARTS = {
    "name", "description", "decay", "grades", "mql", "ranking", "fit", "engagement", "account", "negative",
}  # fmt: skip
SIGNAL = {"id", "points", "activity", "where", "half_life_days", "look_back_days", "at_most"}
CONDITIONS = {"field", "is_in", "has_words", "at_least", "at_most", "is_true", "is_set"}


class NotJudged(Exception):
    """The document asks for something that this evaluation does not know."""


class Deed(NamedTuple):
    """Something the lead did, or a colleague of it. ``at``: when it happened, but no later than it became known."""

    kind: str
    at: datetime
    detail: Mapping[str, str]
    by_colleague: bool = False


class Points(NamedTuple):
    """A score by the document: points from 0 to 100, the sum before that, its halves, and the letter."""

    points: float
    raw: float
    fit: float
    engagement: float
    grade: str


def read_model(text: str) -> dict[str, Any]:
    model: dict[str, Any] = yaml.safe_load(text)
    return model


def counted_kinds(model: Mapping[str, Any]) -> set[str]:
    """Return the kinds of activities that can change the score of who does them."""
    groups = [*model.get("engagement", {}).values(), *model.get("negative", {}).values()]
    return {signal["activity"] for group in groups for signal in group.get("signals", ())}


def score(model: Mapping[str, Any], profile: Mapping[str, Any], deeds: Sequence[Deed], at: datetime) -> Points:
    """Return the score at *at* of somebody with *profile* (an event with ``lead`` and ``facts``) who did *deeds*."""
    if not set(model) <= PARTS:
        raise NotJudged(f"parts {sorted(set(model) - PARTS)}")
    own = [deed for deed in deeds if not deed.by_colleague]
    fit = sum(_fit(group, profile) for group in model["fit"].values())
    engagement = sum(_engagement(group, own, at, model["decay"]) for group in model["engagement"].values())
    if "account" in model:
        others = [deed for deed in deeds if deed.by_colleague]
        engagement += _engagement(model["account"], others, at, model["decay"])
    negative = sum(_negative(group, profile, own) for group in model["negative"].values())
    raw = fit + engagement + negative
    grades = [letter for letter in LETTERS if fit >= model["grades"][letter]]
    return Points(min(max(raw, 0), 100), raw, fit, engagement, grades[0] if grades else "D")


def is_qualified(model: Mapping[str, Any], points: float, grade: str, *, was_qualified: bool) -> bool:
    rule = model["mql"]
    needed = rule["threshold"] - (rule["hysteresis"] if was_qualified else 0)
    return points >= needed and grade in rule["grades"]


def _fit(group: Mapping[str, Any], profile: Mapping[str, Any]) -> float:
    won = [rule["points"] for rule in group["rules"] if holds(rule["when"], profile)]
    if group["choose"] not in {"best", "sum"}:
        raise NotJudged(f"choose: {group['choose']}")
    total = max(won, default=0) if group["choose"] == "best" else sum(won)
    return float(min(total, group["cap"]))


def _engagement(group: Mapping[str, Any], deeds: Sequence[Deed], at: datetime, fading: Mapping[str, Any]) -> float:
    total = 0.0
    for signal in group["signals"]:
        if not set(signal) <= SIGNAL:
            raise NotJudged(f"signal {sorted(set(signal) - SIGNAL)}")
        life = timedelta(days=signal.get("half_life_days") or fading["half_life_days"])
        reach = signal.get("look_back_days") or fading.get("look_back_days")
        seen = deeds if reach is None else [deed for deed in deeds if at - deed.at < timedelta(days=reach)]
        ages = (max(at - moment, timedelta(0)) / life for moment in _moments(signal, seen))
        total += round(sum(signal["points"] * 0.5**age for age in ages), 2)
    return min(total, float(group["cap"]))


def _negative(group: Mapping[str, Any], profile: Mapping[str, Any], deeds: Sequence[Deed]) -> float:
    total = sum(rule["points"] for rule in group.get("rules", ()) if holds(rule["when"], profile))
    total += sum(signal["points"] * len(_moments(signal, deeds)) for signal in group.get("signals", ()))
    return float(max(total, group["floor"]))


def _moments(signal: Mapping[str, Any], deeds: Sequence[Deed]) -> list[datetime]:
    """Return the instants that count: of each window of ``at_most``, the latest."""
    where = signal.get("where") or {}
    moments = sorted(
        (
            deed.at
            for deed in deeds
            if deed.kind == signal["activity"]
            and all(deed.detail.get(name) in allowed for name, allowed in where.items())
        ),
        reverse=True,
    )
    limit = signal.get("at_most")
    if limit is None:
        return moments
    counted: list[datetime] = []
    windows: dict[int, int] = {}
    for moment in moments:
        window = int((moment - EPOCH) / timedelta(days=limit["days"]))
        windows[window] = windows.get(window, 0) + 1
        if windows[window] <= limit["times"]:
            counted.append(moment)
    return counted


def holds(when: Mapping[str, Any], profile: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds. What is not known makes it false."""
    if "all" in when:
        return all(holds(part, profile) for part in when["all"])
    if "any" in when:
        return any(holds(part, profile) for part in when["any"])
    if "none" in when:
        return not any(holds(part, profile) for part in when["none"])
    if not set(when) <= CONDITIONS:
        raise NotJudged(f"condition {sorted(when)}")
    value = _read(when["field"], profile)
    if "is_set" in when:
        return (value not in {None, "", "unknown"}) is when["is_set"]
    if "is_true" in when:
        return value is when["is_true"]
    if "is_in" in when:
        return isinstance(value, str) and value.casefold() in [str(one).casefold() for one in when["is_in"]]
    if "has_words" in when:
        text = value[:LONGEST_TEXT].casefold() if isinstance(value, str) else ""
        return _finder(tuple(when["has_words"])).search(text) is not None
    if not isinstance(value, int | float):
        return False
    return bool(when.get("at_least", value) <= value <= when.get("at_most", value))


@lru_cache(maxsize=64)
def _finder(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds one of *phrases* as whole words."""
    return re.compile("|".join(rf"(?<!\w){re.escape(phrase.casefold())}(?!\w)" for phrase in phrases))


def _read(name: str, profile: Mapping[str, Any]) -> Any:
    half, _, key = name.partition(".")
    if key.startswith("custom."):
        return profile["lead"].get("custom", {}).get(key.removeprefix("custom."))
    unknown = {"facts.is_competitor": False, "facts.subject_kind": "individual"}
    known = {"facts.email_kind", "facts.seniority", "facts.department"}
    default = unknown.get(name, "unknown" if name in known else None)
    return profile[half].get(key, default)
