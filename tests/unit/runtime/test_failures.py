"""Whose fault is it: the event's, or a dependency's?"""

import asyncpg
import pytest

from shared.runtime.failures import is_dependency_failure

OF_A_DEPENDENCY = (
    asyncpg.AdminShutdownError("terminating connection"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.DiskFullError("no space left"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.SerializationError("could not serialize"),
    TimeoutError(),
    ConnectionRefusedError(),
)
OF_THE_EVENT = (ValueError("bad"), KeyError("x"), asyncpg.UniqueViolationError("twice"), asyncpg.DataError("too long"))


@pytest.mark.parametrize("error", OF_A_DEPENDENCY, ids=lambda error: type(error).__name__)
def test_dependency_that_is_away_or_busy_is_nobodys_fault(error: Exception) -> None:
    assert is_dependency_failure(error)


@pytest.mark.parametrize("error", OF_THE_EVENT, ids=lambda error: type(error).__name__)
def test_failure_that_comes_back_at_every_attempt_is_the_events(error: Exception) -> None:
    assert not is_dependency_failure(error)
