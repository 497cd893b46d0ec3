"""The scoring service against a real Postgres."""

from collections.abc import AsyncIterator

import pytest

from scoring.__main__ import build_service
from scoring.settings import ScoringSettings
from shared.testing import ServiceHarness


@pytest.fixture
async def scoring(database_url: str) -> AsyncIterator[ServiceHarness]:
    async with ServiceHarness.start(build_service, ScoringSettings, database_url) as harness:
        yield harness
