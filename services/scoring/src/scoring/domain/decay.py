"""When decay alone will take a lead below a limit: an instant to set a timer to, instead of a nightly job."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil, exp2, floor, log2

from scoring.domain.activity import Activity
from scoring.domain.model import ScoringModel
from scoring.domain.score import ScoreResult, decayed, occurrences

_MILLISECOND = timedelta(milliseconds=1)


class _Group:
    """What an engagement group is worth later: its cap, and what each signal is worth now with its half-life."""

    __slots__ = ("amounts", "cap")

    def __init__(self, cap: int, amounts: list[tuple[float, float]]) -> None:
        self.cap = cap
        self.amounts = amounts

    def after(self, seconds: float) -> int:
        total = 0
        for amount, half_life in self.amounts:
            total += round(amount * exp2(-seconds / half_life))
        return min(total, self.cap)


def falls_below_at(
    model: ScoringModel, result: ScoreResult, activities: Iterable[Activity], now: datetime
) -> datetime | None:
    """Return the first millisecond at or after *now* at which the lead's score is below the limit an MQL leaves at,
    if nothing else happens to it; ``None`` if decay never takes it there. *result* is its score at *now*.

    The score only falls while nothing happens, so the instant is bracketed in closed form (all of the engagement at
    the longest half-life, the capped engagement at the shortest) and found by bisection on the very formula of
    ``score_lead``, rounding included.
    """
    needed = model.qualification.leave_below - result.fit - result.negative
    groups, kept = _groups_at(model, activities, now)
    needed -= kept
    if needed <= 0:
        return None

    def is_below(milliseconds: int) -> bool:
        seconds = milliseconds / 1000
        total = 0
        for group in groups:
            total += group.after(seconds)
        return total < needed

    if is_below(0):
        return now
    low, high = _bracket(groups, needed)
    while is_below(low) and low > 0:  # the bracket is exact but for the last bit of a float
        low = max(low - 1, 0)
    while not is_below(high):
        high += max(high - low, 1)
    while high - low > 1:
        middle = (low + high) // 2
        if is_below(middle):
            high = middle
        else:
            low = middle
    return now + high * _MILLISECOND


def _groups_at(model: ScoringModel, activities: Iterable[Activity], now: datetime) -> tuple[list[_Group], int]:
    """Condense the activities to one amount per signal; what never decays is a constant beside them."""
    moments = occurrences(model, activities)
    groups: list[_Group] = []
    kept = 0
    for group in model.engagement:
        amounts: list[tuple[float, float]] = []
        constant = 0
        for signal in group.signals:
            if (happened := moments.get(signal)) is None:
                continue
            counted = signal.counted(happened)
            if signal.half_life is None:
                constant += signal.points * len(counted)
            else:
                amounts.append((decayed(signal.points, signal.half_life, counted, now), signal.half_life))
        constant = min(constant, group.cap)
        kept += constant
        if amounts:
            groups.append(_Group(group.cap - constant, amounts))
    return groups, kept


def _bracket(groups: list[_Group], needed: int) -> tuple[int, int]:
    """Return milliseconds (still at or above, already below). Each signal is rounded by itself, hence *slack*."""
    half_lives = [half_life for group in groups for _, half_life in group.amounts]
    slack = len(half_lives) / 2
    at_most = sum(amount for group in groups for amount, _ in group.amounts)
    at_least = sum(min(sum(amount for amount, _ in group.amounts), group.cap) for group in groups)
    # Below half a hundredth each, all signals are gone whatever is needed.
    target = max(needed - slack - 1, 0.25)
    high = max(half_lives) * max(log2(at_most / target), 0.0)
    low = min(half_lives) * max(log2(max(at_least, 1.0) / (needed + slack)), 0.0)
    return floor(low * 1000), ceil(high * 1000) + 1
