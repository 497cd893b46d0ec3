"""The points of the door lie where their names say, and a sender that comes again is told the truth."""

from collections.abc import Awaitable, Callable, Iterator

import pytest

from shared import failpoints
from shared.failpoints import VARIABLE
from shared.testing import ServiceHarness

MakeSource = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


@pytest.mark.parametrize(("point", "kept"), [("door_verified", 0), ("door_before_commit", 0), ("door_after_commit", 1)])
async def test_submission_is_kept_from_the_commit_on_and_the_sender_who_comes_again_adds_none(
    ingest: ServiceHarness, make_source: MakeSource, fresh_email: Callable[[], str], point: str, kept: int
) -> None:
    path, key = await make_source("web_form"), {"Idempotency-Key": "once"}
    source = path.split("/")[3]
    body = {"email": fresh_email()}
    failpoints.arm({VARIABLE: f"{point}=fail"})
    assert (await ingest.http.post(path, json=body, headers=key)).status_code == 500
    assert len(await ingest.fetch("SELECT FROM submission WHERE source_key = $1", source)) == kept
    again = await ingest.http.post(path, json=body, headers=key)
    assert (again.status_code, again.json().get("duplicate", False)) == (200, bool(kept))
    assert len(await ingest.fetch("SELECT FROM submission WHERE source_key = $1", source)) == 1


async def test_refused_delivery_passes_no_point(ingest: ServiceHarness, make_source: MakeSource) -> None:
    path = await make_source("standard_webhooks")
    failpoints.arm({VARIABLE: "door_verified=fail"})
    assert (await ingest.http.post(path, json={})).status_code == 401
