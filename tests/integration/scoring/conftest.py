"""The scoring service against a real Postgres."""

from collections.abc import AsyncIterator, Callable

import pytest
from tests.integration.scoring.lived_period import hand_over, live_through

from local_stack.blocking import run_blocking
from scoring.__main__ import build_service
from scoring.settings import ScoringSettings
from shared.testing import ServiceHarness


@pytest.fixture
async def scoring(database_url: str) -> AsyncIterator[ServiceHarness]:
    async with ServiceHarness.start(build_service, ScoringSettings, database_url) as harness:
        yield harness


@pytest.fixture(scope="module")
def lived(create_database: Callable[..., str]) -> str:
    """Return the URL of a database in which sixty days of leads were scored, and what became of them reported."""
    url = create_database()
    run_blocking(live_through(url))
    return url


@pytest.fixture
def copied(lived: str, create_database: Callable[..., str]) -> str:
    """Return the URL of a copy that a test may change."""
    url = create_database(lived)
    run_blocking(hand_over(lived, url))
    return url
