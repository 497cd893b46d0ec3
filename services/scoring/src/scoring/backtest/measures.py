"""Measures of rates, bands and drift. Pure, without numpy: small enough to be checked by hand."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import log, sqrt
from typing import Final, NamedTuple

Z_95: Final = 1.959963984540054  # two-sided
_Z_ONE_SIDED_95: Final = 1.6448536269514722
_LEAST_COUNT: Final = 0.5  # what an empty cell counts as: the logarithm of nothing is no number


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Band(NamedTuple):
    """Leads (or weights of them) with about the same prediction; those that reached the goal; the mean prediction."""

    leads: float
    positives: float
    predicted: float


def wilson_interval(positives: int, leads: int, z: float = Z_95) -> Interval:
    """Return Wilson's score interval of a rate: within 0..1, and useful for few leads and for rates near 0 too.

    Errors: `ValueError` without any lead: there is no rate then. Source: Wilson (1927), JASA 22, 209-212.
    """
    if not 0 <= positives <= leads or leads == 0:
        message = f"no rate of {positives} in {leads}"
        raise ValueError(message)
    rate = positives / leads
    spread = z * sqrt(rate * (1 - rate) / leads + z * z / (4 * leads * leads))
    middle, scale = rate + z * z / (2 * leads), 1 + z * z / leads
    low = 0.0 if positives == 0 else (middle - spread) / scale
    return Interval(low, 1.0 if positives == leads else (middle + spread) / scale)


def rank_bands(counts: Sequence[int], bands: int) -> list[int]:
    """Return for each group of equals, given in order of rank with its size, the band (0 = first) that it belongs to.

    Bands are equally large as far as equals allow: equals are never torn apart, a group goes to the band in which its
    middle lies, and a band may stay empty.
    """
    total, before, placed = sum(counts), 0, []
    for count in counts:
        middle = before + count / 2
        placed.append(min(int(middle * bands / total), bands - 1))
        before += count
    return placed


def expected_calibration_error(bands: Sequence[Band]) -> float:
    """Return the mean distance of prediction and rate, each band weighted with its leads: 0 = calibrated, at most 1.

    Errors: `ValueError` without any lead. Source: Naeini, Cooper, Hauskrecht (2015), AAAI.
    """
    total = sum(band.leads for band in bands)
    if total == 0:
        message = "no leads"
        raise ValueError(message)
    return sum(abs(band.positives - band.predicted * band.leads) for band in bands) / total


def population_stability_index(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """Return how far two distributions of counts are apart: 0 = equal shares; by custom 0.1 is worth a look and 0.25
    is another population. An empty cell counts as half a lead.

    Errors: `ValueError` if either side is empty.
    """
    first, second = sum(reference.values()), sum(current.values())
    if first == 0 or second == 0:
        message = "an empty population has no shares"
        raise ValueError(message)
    index = 0.0
    for cell in sorted({*reference, *current}):
        p = max(reference.get(cell, 0), _LEAST_COUNT) / first
        q = max(current.get(cell, 0), _LEAST_COUNT) / second
        index += (q - p) * log(q / p)
    return index


def stability_by_chance(cells: int, first: int, second: int) -> float:
    """Return the index that two samples of *first* and *second* leads of one population exceed once in twenty times.

    The index times ``1 / (1/first + 1/second)`` is chi-squared with ``cells - 1`` degrees of freedom. Source: Yurdakul,
    Naranjo (2020), Statistical properties of the population stability index; the quantile by Wilson and Hilferty.
    """
    freedom = cells - 1
    if freedom < 1:
        return 0.0
    part = 2 / (9 * freedom)
    quantile = freedom * (1 - part + _Z_ONE_SIDED_95 * sqrt(part)) ** 3
    return quantile * (1 / first + 1 / second)


def quantile_edges(values: Sequence[float], bands: int) -> list[float]:
    """Return at most ``bands - 1`` rising edges that cut *values* into bands of about the same size; see `band_of`."""
    ordered = sorted(values)
    edges = {ordered[len(ordered) * number // bands] for number in range(1, bands)} if ordered else set()
    return sorted(edges - {ordered[0]}) if ordered else []


def band_of(value: float, edges: Sequence[float]) -> int:
    """Return the number of edges at or below *value*."""
    return bisect_right(edges, value)
