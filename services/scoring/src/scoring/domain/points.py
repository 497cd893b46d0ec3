"""Points are counted in whole hundredths, so that the lines of an explanation add up to the score exactly."""

from typing import Final

HUNDREDTHS: Final = 100
MIN_SCORE: Final = 0
MAX_SCORE: Final = 100 * HUNDREDTHS


def to_hundredths(points: float) -> int:
    """Return *points* (at most two decimals) as whole hundredths."""
    return round(points * HUNDREDTHS)


def to_points(hundredths: int) -> float:
    """Return whole *hundredths* as points; the nearest float of the two-decimal number, so it prints as one."""
    return hundredths / HUNDREDTHS
