"""The values by which a plan breaks its comparison down."""

from collections.abc import Callable
from typing import Final

from scoring.domain.decision import Profile

UNKNOWN: Final = "unknown"
OTHER: Final = "(other)"
LONGEST_VALUE: Final = 80  # an industry is whatever somebody typed
TYPED: Final = frozenset({"industry"})

_BANDS: Final = ((10, "1-10"), (50, "11-50"), (200, "51-200"), (1000, "201-1000"), (5000, "1001-5000"))


def company_size(employees: int | None) -> str:
    """Return the band of a number of employees."""
    if employees is None or employees < 1:
        return UNKNOWN
    return next((band for most, band in _BANDS if employees <= most), "5001+")


def _text(value: str | None) -> str:
    return value.strip()[:LONGEST_VALUE] or UNKNOWN if value else UNKNOWN


DIMENSIONS: Final[dict[str, Callable[[Profile], str]]] = {
    "source": lambda profile: profile.origin.source_key,
    "source_kind": lambda profile: profile.origin.source_kind,
    "country": lambda profile: _text(profile.lead.country),
    "company_size": lambda profile: company_size(profile.lead.employees),
    "industry": lambda profile: _text(profile.lead.industry).casefold(),
}
