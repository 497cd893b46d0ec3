"""The ingest service against a real Postgres; only the broker is a recorder."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ingest.__main__ import build_service
from ingest.settings import IngestSettings
from shared.ids import new_id
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]


@pytest.fixture
async def ingest(database_url: str) -> AsyncIterator[ServiceHarness]:
    async with ServiceHarness.start(
        build_service, IngestSettings, database_url, public_url="https://ingest.example.com"
    ) as harness:
        yield harness


@pytest.fixture
def make_source(ingest: ServiceHarness) -> MakeSource:
    """Return a function that creates a source and returns its submissions path."""

    async def make(kind: str, **fields: Any) -> str:
        response = await ingest.http.post("/v1/sources", json={"kind": kind, "key": f"s-{new_id()}", **fields})
        assert response.status_code == 201, response.text
        path: str = response.json()["submissions_path"]
        return path

    return make


@pytest.fixture
def fresh_email() -> Callable[[], str]:
    """Return a function that makes an address nobody else uses: the tests of a module share a database."""
    return lambda: f"lead-{new_id()}@acme-industries.com"
