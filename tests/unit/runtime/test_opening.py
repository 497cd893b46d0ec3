"""A service that starts while the database is away, full or busy waits for it."""

import asyncpg
import pytest

from shared.runtime import upkeep
from shared.runtime.upkeep import until_served


class Step:
    """Fails with each of *errors* once, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "OPEN_EVERY_SECONDS", 0)


async def test_database_that_is_away_or_full_is_waited_for() -> None:
    step = Step(ConnectionRefusedError(), asyncpg.DiskFullError("full"), asyncpg.SerializationError("busy"))
    await until_served(step)
    assert step.calls == 4


async def test_mistake_is_not_waited_for() -> None:
    step = Step(asyncpg.InvalidPasswordError("wrong"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await until_served(step)
    assert step.calls == 1
