"""Whether the leads of the second half of a period are still those of the first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from scoring.backtest.measures import (
    band_of,
    population_stability_index,
    quantile_edges,
    stability_by_chance,
)
from scoring.backtest.sample import KnownLead
from scoring.domain.model import Grade
from scoring.outcomes.outcome import OUTCOME_KINDS
from shared.contracts import ActivityKind

POINTS_BANDS: Final = 10
MOST_VALUES: Final = 20  # of countries, industries, sources; the rest is one value
FEWEST_TYPED: Final = 5  # leads that a value has that people typed: of fewer it may tell who they are
NOTEWORTHY: Final = 0.25
_UNKNOWN: Final = "unknown"
_REST: Final = "(other)"
_TYPED: Final = frozenset({"industry"})
_SIZES: Final = ((10, "1 to 10"), (50, "11 to 50"), (200, "51 to 200"), (1000, "201 to 1000"), (5000, "1001 to 5000"))
_SIGNALS: Final = tuple(kind for kind in get_args(ActivityKind) if kind not in OUTCOME_KINDS)
_DIGITS: Final = 4

Values = dict[str, str]
"""Input -> value of one lead."""


@dataclass(slots=True)
class Half:
    """The leads of one half of a period: their points in hundredths, and per input how often each value came."""

    points: list[int] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, points: int, values: Values) -> None:
        """Take a lead."""
        self.points.append(points)
        for name, value in values.items():
            self.counts.setdefault(name, Counter())[value] += 1


def inputs_of(known: KnownLead, grade: Grade) -> Values:
    """Return what is watched of a lead, but for its points."""
    lead, facts = known.profile.lead, known.profile.facts
    done = {activity.kind for activity in known.activities}
    return {
        "grade": grade,
        "source": known.profile.origin.source_key,
        "country": lead.country or _UNKNOWN,
        "size": size_band(lead.employees),
        "industry": (lead.industry or _UNKNOWN).casefold(),
        "seniority": facts.seniority,
        **{f"signal.{kind}": "yes" if kind in done else "no" for kind in _SIGNALS},
    }


def size_band(employees: int | None) -> str:
    """Return the band of a company's size."""
    if not employees:
        return _UNKNOWN
    return next((band for largest, band in _SIZES if employees <= largest), "5001 or more")


def measure_drift(first: Half, second: Half) -> list[dict[str, Any]]:
    """Return the stability index of each input between two groups of leads.

    An index is given only where chance alone would stay below `NOTEWORTHY`; otherwise it is null, and ``why`` says so.
    """
    edges = quantile_edges([*first.points, *second.points], POINTS_BANDS)
    before, after = (Counter(_points_band(points, edges) for points in half.points) for half in (first, second))
    names = first.counts or second.counts
    nothing: Counter[str] = Counter()
    return [
        _row("points", before, after),
        *(
            _row(name, first.counts.get(name, nothing), second.counts.get(name, nothing), is_typed=name in _TYPED)
            for name in names
        ),
    ]


def _row(name: str, first: Counter[str], second: Counter[str], *, is_typed: bool = False) -> dict[str, Any]:
    before, after = _common_values(first, second, fewest=FEWEST_TYPED if is_typed else 1)
    row: dict[str, Any] = {"input": name, "first": before.total(), "second": after.total(), "psi": None, "why": None}
    if not before or not after:
        return {**row, "why": "no leads in one half of the period"}
    by_chance = stability_by_chance(len({*before, *after}), before.total(), after.total())
    if by_chance >= NOTEWORTHY:
        return {**row, "why": f"too few leads: chance alone reaches {by_chance:.2f}"}
    return {
        **row,
        "psi": round(population_stability_index(before, after), _DIGITS),
        "by_chance": round(by_chance, _DIGITS),
        "moved_most": _moved_most(before, after),
    }


def _common_values(first: Counter[str], second: Counter[str], *, fewest: int) -> tuple[Counter[str], Counter[str]]:
    """Return both counts over the most frequent values that *fewest* leads have, with the rest as one value."""
    frequent = (first + second).most_common(MOST_VALUES)
    kept = {value for value, leads in frequent if leads >= fewest or value == _UNKNOWN}
    return tuple(  # type: ignore[return-value] # two go in, two come out
        sum((Counter({value if value in kept else _REST: number}) for value, number in each.items()), Counter())
        for each in (first, second)
    )


def _moved_most(first: Mapping[str, int], second: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the three values whose share changed most."""
    total_before, total_after = sum(first.values()), sum(second.values())
    shares = [
        {
            "value": value,
            "first_share": round(first.get(value, 0) / total_before, _DIGITS),
            "second_share": round(second.get(value, 0) / total_after, _DIGITS),
        }
        for value in sorted({*first, *second})
    ]
    moved = [each for each in shares if each["first_share"] != each["second_share"]]
    return sorted(moved, key=lambda each: -abs(each["second_share"] - each["first_share"]))[:3]  # type: ignore[operator]


def _points_band(points: int, edges: Sequence[float]) -> str:
    number = band_of(points, edges)
    low = f"{edges[number - 1] / 100:g}" if number else "0"
    return f"from {low}" if number == len(edges) else f"{low} to below {edges[number] / 100:g}"
