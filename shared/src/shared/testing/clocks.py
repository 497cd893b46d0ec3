"""A clock that moves when told to."""

from datetime import UTC, datetime, timedelta


class SteppedClock:
    """Stands still until `advance`; never goes back."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """Return the instant it stands at."""
        return self._now

    def advance(self, **duration: float) -> datetime:
        """Move forward by ``timedelta(**duration)`` and return the new instant."""
        self._now += timedelta(**duration)
        return self._now
