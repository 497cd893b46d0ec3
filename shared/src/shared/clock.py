"""The one place that reads the machine's clock."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one real clock


def format_instant(instant: datetime) -> str:
    """Return *instant* (aware) as RFC 3339 in UTC, microseconds kept, ``Z`` suffix."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
