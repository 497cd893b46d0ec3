"""The SLA monitor on a real database, with a clock that moves when told to."""

from collections.abc import AsyncIterator, Callable

import pytest_asyncio
import yaml

from shared.testing import ServiceHarness
from sla_monitor.__main__ import build_service
from sla_monitor.settings import SlaMonitorSettings

DOCUMENT = {
    "stages": [
        {"id": "assign", "starts_with": "capture"},
        {"id": "first_touch", "starts_with": "owner", "met_by": ["first_touch", "meeting"]},
    ],
    "calendars": [{"id": "always", "always_open": True}],
    "policies": [
        {"id": "assign_any", "stage": "assign", "calendar": "always", "target": "5m", "at_risk": {"fraction": 0.6}},
        {
            "id": "touch_any",
            "stage": "first_touch",
            "calendar": "always",
            "target": "1h",
            "at_risk": {"before": "15m"},
            "on_breach": {"action": "reassign", "max_reassignments": 1},
            "escalate_after": "1h",
        },
    ],
}


@pytest_asyncio.fixture
async def harness(create_database: Callable[..., str]) -> AsyncIterator[ServiceHarness]:
    """Yield the service with policies whose calendar is always open, as version 2."""
    async with ServiceHarness.start(build_service, SlaMonitorSettings, create_database()) as started:
        body = {"body": yaml.safe_dump(DOCUMENT), "why": "round numbers for tests"}
        created = await started.http.post("/v1/documents/sla_policies/versions", json=body)
        assert created.status_code == 201, created.text
        applied = await started.http.post(
            "/v1/documents/sla_policies/versions/2/apply", json={"why": "round numbers for tests"}
        )
        assert applied.status_code == 200, applied.text
        yield started
