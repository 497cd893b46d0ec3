"""Where a person is, as far as the rules care."""

from typing import Final, Literal
from zoneinfo import ZoneInfo

Jurisdiction = Literal["DE", "EEA", "UK", "CA", "US-CA", "US", "UNKNOWN"]

EEA: Final = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
     "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
"""The 27 members of the European Union with Iceland, Liechtenstein and Norway (EEA agreement)."""

_ZONE_NAMES: Final = {
    "DE": "Europe/Berlin",
    "EEA": "Atlantic/Azores Atlantic/Reykjavik Europe/Lisbon Europe/Berlin Europe/Athens",
    "UK": "Europe/London",
    "CA": "America/St_Johns America/Halifax America/Toronto America/Winnipeg America/Regina America/Edmonton"
    " America/Vancouver",
    "US": "America/New_York America/Chicago America/Denver America/Phoenix America/Los_Angeles America/Anchorage"
    " Pacific/Honolulu",
    "US-CA": "America/Los_Angeles",
}
TIME_ZONES: Final = {
    jurisdiction: tuple(ZoneInfo(name) for name in names.split()) for jurisdiction, names in _ZONE_NAMES.items()
}
"""The clocks that people of a jurisdiction live by: calendar months are counted on each, the earliest end counts."""

_OWN_RULES: Final[dict[str, Jurisdiction]] = {"DE": "DE", "GB": "UK", "UK": "UK", "CA": "CA"}


def jurisdiction_of(country: str | None, region: str | None) -> Jurisdiction:
    """Return the jurisdiction of an ISO 3166-1 country and 3166-2 region. Not known, or not configured: UNKNOWN."""
    code = (country or "").strip().upper()
    if code == "US":
        return "US-CA" if (region or "").strip().upper() in {"US-CA", "CA"} else "US"
    if code in _OWN_RULES:
        return _OWN_RULES[code]
    return "EEA" if code in EEA else "UNKNOWN"
