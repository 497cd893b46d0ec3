"""Handshakes sign what they are given: how many a source may ask for is limited."""

from collections import deque
from datetime import datetime, timedelta

MOST = 10  # a sender asks once per change of its settings, and again every 72 hours
WINDOW = timedelta(minutes=1)


class HandshakeBudget:
    """At most ten answers per source in any minute, in this process."""

    def __init__(self) -> None:
        self._answered: dict[str, deque[datetime]] = {}

    def spend(self, source_key: str, now: datetime) -> bool:
        """Count one more answer; return False if there may be none."""
        answered = self._answered.setdefault(source_key, deque(maxlen=MOST))
        if len(answered) == MOST and now - answered[0] < WINDOW:
            return False
        answered.append(now)
        return True
