"""The circuit breaker of one endpoint."""

from dataclasses import dataclass
from datetime import datetime, timedelta

OPENS_AFTER = 5
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)


@dataclass(slots=True)
class Breaker:
    """Stops sending to an endpoint that does not answer, then lets one callback at a time try.

    Only what says that the endpoint is away counts (no connection, timeout, 5xx, 429): a 4xx about one lead must not
    hold the others.
    """

    failures: int = 0
    retry_at: datetime | None = None
    """Until when nothing is sent; None while all is well. Past: the next one is a trial."""
    pause: timedelta = FIRST_PAUSE

    def allows(self, now: datetime, in_flight: int) -> bool:
        """Say if one more callback may be sent while *in_flight* are on their way."""
        if self.retry_at is None:
            return True
        return now >= self.retry_at and in_flight == 0

    def record_answer(self) -> None:
        """Note that the endpoint answered."""
        self.failures = 0
        self.retry_at = None
        self.pause = FIRST_PAUSE

    def record_absence(self, now: datetime) -> None:
        """Note that the endpoint did not answer, or said that it cannot."""
        self.failures += 1
        if self.retry_at is not None and now >= self.retry_at:
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.retry_at = now + self.pause
        elif self.failures >= OPENS_AFTER and self.retry_at is None:
            self.retry_at = now + self.pause
