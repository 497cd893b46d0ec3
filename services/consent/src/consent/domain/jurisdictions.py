"""Where a person is, as far as the rules care."""

from typing import Final, Literal

Jurisdiction = Literal["DE", "EEA", "UK", "CA", "US-CA", "US", "UNKNOWN"]

EEA: Final = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
     "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
"""The 27 members of the European Union with Iceland, Liechtenstein and Norway (EEA agreement)."""

_OWN_RULES: Final[dict[str, Jurisdiction]] = {"DE": "DE", "GB": "UK", "UK": "UK", "CA": "CA"}


def jurisdiction_of(country: str | None, region: str | None) -> Jurisdiction:
    """Return the jurisdiction of an ISO 3166-1 country and 3166-2 region. Not known, or not configured: UNKNOWN."""
    code = (country or "").strip().upper()
    if code == "US":
        return "US-CA" if (region or "").strip().upper() in {"US-CA", "CA"} else "US"
    if code in _OWN_RULES:
        return _OWN_RULES[code]
    return "EEA" if code in EEA else "UNKNOWN"
