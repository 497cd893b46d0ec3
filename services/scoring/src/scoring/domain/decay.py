"""When time alone will take a lead below a limit: an instant to set a timer to, instead of a nightly job."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from math import ceil, exp2, floor, inf, log2

from scoring.domain.activity import Activity
from scoring.domain.model import ScoringModel, Signal
from scoring.domain.score import ScoreResult, decayed, occurrences

_MILLISECOND = timedelta(milliseconds=1)


class _Leaving:
    """A signal whose occurrences leave its look-back window one by one, and decay until then."""

    __slots__ = ("_leave_at", "_left_then", "amount", "half_life")

    def __init__(self, signal: Signal, look_back: timedelta, counted: Sequence[datetime], now: datetime) -> None:
        oldest_first = sorted(counted)
        self.half_life = inf if signal.half_life is None else signal.half_life
        # Whole milliseconds from now, rounded up: at the first of them that is not before the instant, it is gone.
        self._leave_at = [-((now - moment - look_back) // _MILLISECOND) / 1000 for moment in oldest_first]
        worth = [decayed(signal.points, signal.half_life, [moment], now) for moment in reversed(oldest_first)]
        self._left_then = [*reversed([*accumulate(worth)]), 0.0]
        self.amount = self._left_then[0]

    def after(self, seconds: float) -> int:
        gone = bisect_right(self._leave_at, seconds)
        return round(self._left_then[gone] * exp2(-seconds / self.half_life))

    @property
    def first_step(self) -> float:
        return self._leave_at[0] if self._leave_at else inf


class _Group:
    """What an engagement group is worth later: its cap, and its signals: those that only decay as what each is worth
    now with its half-life in seconds."""

    __slots__ = ("cap", "fading", "leaving")

    def __init__(self, cap: int, fading: list[tuple[float, float]], leaving: list[_Leaving]) -> None:
        self.cap = cap
        self.fading = fading
        self.leaving = leaving

    def after(self, seconds: float) -> int:
        total = 0
        for amount, half_life in self.fading:
            total += round(amount * exp2(-seconds / half_life))
        if self.leaving:
            total += sum(signal.after(seconds) for signal in self.leaving)
        return min(total, self.cap)

    def amounts(self) -> list[tuple[float, float]]:
        """Return what each signal is worth now, with its half-life."""
        return [*self.fading, *((signal.amount, signal.half_life) for signal in self.leaving)]


def falls_below_at(
    model: ScoringModel,
    result: ScoreResult,
    activities: Iterable[Activity],
    now: datetime,
    by: datetime | None = None,
) -> datetime | None:
    """Return the first millisecond at or after *now* at which the lead's score is below the limit an MQL leaves at,
    if nothing else happens to it; ``None`` if time alone never takes it there. *result* is its score at *now*. *by*
    (not before *now*): an instant after which it does not matter; then ``None`` says that it is not below by then.

    The score only falls while nothing happens: it decays, and steps down where an activity leaves a look-back window.
    So the instant is bracketed in closed form (all of the engagement at the longest half-life, the capped engagement
    at the shortest, up to the first step) and found by bisection on the very formula of ``score_lead``, rounding
    included.
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
    if by is not None and not is_below((by - now) // _MILLISECOND):
        return None
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
    """Condense the activities to what each signal is worth; what stays for good is a constant beside them."""
    moments = occurrences(model, activities)
    groups: list[_Group] = []
    kept = 0
    for group in model.engagement:
        fading: list[tuple[float, float]] = []
        leaving: list[_Leaving] = []
        constant = 0
        for signal in group.signals:
            if (happened := moments.get(signal)) is None:
                continue
            counted = signal.counted(happened, now)
            if signal.look_back is not None:
                leaving.append(_Leaving(signal, signal.look_back, counted, now))
            elif signal.half_life is None:
                constant += signal.points * len(counted)
            else:
                fading.append((decayed(signal.points, signal.half_life, counted, now), signal.half_life))
        constant = min(constant, group.cap)
        kept += constant
        if fading or leaving:
            groups.append(_Group(group.cap - constant, fading, leaving))
    return groups, kept


def _bracket(groups: list[_Group], needed: int) -> tuple[int, int]:
    """Return milliseconds (still at or above, already below). Each signal is rounded by itself, hence *slack*."""
    amounts = [group.amounts() for group in groups]
    half_lives = [half_life for each in amounts for _, half_life in each if half_life < inf]
    step = min((signal.first_step for group in groups for signal in group.leaving), default=inf)
    if not half_lives:
        return floor(step * 1000) - 1, ceil(step * 1000) + 1
    slack = sum(map(len, amounts)) / 2
    at_most = sum(amount for each in amounts for amount, _ in each)
    at_least = sum(
        min(sum(amount for amount, _ in each), group.cap) for group, each in zip(groups, amounts, strict=True)
    )
    # Below half a hundredth each, all signals are gone whatever is needed.
    target = max(needed - slack - 1, 0.25)
    low = min(half_lives) * max(log2(max(at_least, 1.0) / (needed + slack)), 0.0) * 1000
    high = max(half_lives) * max(log2(at_most / target), 0.0) * 1000
    return floor(max(min(low, step * 1000 - 1), 0)), ceil(high) + 1
