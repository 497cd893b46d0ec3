"""A consent service with a database of its own."""

from collections.abc import AsyncIterator, Callable

import pytest

from consent.__main__ import build_service
from consent.settings import ConsentSettings
from shared.testing import ServiceHarness


@pytest.fixture
async def consent(create_database: Callable[..., str]) -> AsyncIterator[ServiceHarness]:
    async with ServiceHarness.start(build_service, ConsentSettings, create_database()) as harness:
        yield harness
