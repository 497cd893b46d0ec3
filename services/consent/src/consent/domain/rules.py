"""The rule table: for whom, on which channel, for which purpose a rule speaks, and what it asks for."""

from calendar import monthrange
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import msgspec

from consent.domain.jurisdictions import TIME_ZONES

Basis = Literal["consent", "double_opt_in", "relation", "opt_out", "none_needed"]
"""What a rule asks for: a proved grant; a confirmed one; that the person asked or bought not too long ago; only that
nobody said no (opt_out); nothing at all (none_needed)."""

SubjectKind = Literal["individual", "corporate"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. ``months``: how long a relation counts, in calendar months; None = for ever."""

    id: str
    jurisdictions: frozenset[str]
    channels: frozenset[str]
    subject_kinds: frozenset[str]
    purposes: frozenset[str]
    basis: Basis
    source: str
    relation: Literal["inquiry", "purchase"] | None = None
    months: int | None = None

    def covers(self, jurisdiction: str, channel: str, subject_kind: str, purpose: str) -> bool:
        """Tell whether this rule speaks about the question."""
        return (
            jurisdiction in self.jurisdictions
            and channel in self.channels
            and subject_kind in self.subject_kinds
            and purpose in self.purposes
        )


class RuleTable(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in their order, where to look for places nobody configured, and which sources are inquiries."""

    rules: tuple[Rule, ...]
    strictest: str
    inquiry_sources: frozenset[str]
    _by_scope: dict[tuple[str, str, str, str], tuple[Rule, ...]] = {}

    def rules_for(self, jurisdiction: str, channel: str, subject_kind: str, purpose: str) -> tuple[Rule, ...]:
        """Return the rules that speak about the question, in their order. At most 168 questions: each is kept."""
        scope = (jurisdiction, channel, subject_kind, purpose)
        found = self._by_scope.get(scope)
        if found is None:
            found = self._by_scope[scope] = tuple(rule for rule in self.rules if rule.covers(*scope))
        return found


@lru_cache(maxsize=4096)  # 40 µs on the seven clocks of Canada; a lead asks six times, the other five cost 0.3
def ends_at(start: datetime, months: int, jurisdiction: str) -> datetime:
    """Return the instant *months* calendar months after *start*; a day that month lacks is its last day.

    The calendar is the person's. Where a jurisdiction has several time zones one instant lies on two dates, and at a
    month's end the period ends up to three days apart: the earliest counts, for we do not know the person's zone.
    """
    return min(
        _add_months(start.astimezone(zone), months).astimezone(UTC) for zone in TIME_ZONES.get(jurisdiction, (UTC,))
    )


def _add_months(instant: datetime, months: int) -> datetime:
    years, month = divmod(instant.month - 1 + months, 12)
    year, month = instant.year + years, month + 1
    return instant.replace(year=year, month=month, day=min(instant.day, monthrange(year, month)[1]), fold=0)
