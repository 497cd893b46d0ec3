"""Tell whose fault a failure is: the event's, or a dependency's."""

import asyncio
from collections import deque
from datetime import datetime, timedelta

import asyncpg

from shared.runtime.work import Retryable

_AWAY: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server has said goodbye to an idle session, whose socket is not closed yet
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process was frozen for so long that its transaction was ended
    asyncpg.IdleSessionTimeoutError,  # or its session
    asyncio.TimeoutError,
    OSError,
    Retryable,
)


def is_dependency_failure(error: BaseException) -> bool:
    """Tell whether *error* says that something we depend on is away or busy: then no event may be parked for it."""
    return isinstance(error, _AWAY)


def retry_delay(error: BaseException, attempt: int) -> timedelta:
    """Return how long to wait before attempt number *attempt* (from 1): doubling from 50 ms to 5 s."""
    if isinstance(error, Retryable):
        return error.delay
    return min(timedelta(milliseconds=50 * 2 ** min(attempt - 1, 10)), timedelta(seconds=5))


class ParkBudget:
    """Limits how many leads may be parked per minute: a systematic bug must stop the line, not fill the lot."""

    def __init__(self, limit: int, window: timedelta = timedelta(minutes=1)) -> None:
        self._limit = limit
        self._window = window
        self._spent: deque[datetime] = deque()

    def is_spent(self, now: datetime) -> bool:
        """Tell whether no further lead may be parked at *now*."""
        while self._spent and now - self._spent[0] >= self._window:
            self._spent.popleft()
        return len(self._spent) >= self._limit

    def spend(self, now: datetime) -> None:
        """Count one parked lead."""
        self._spent.append(now)
