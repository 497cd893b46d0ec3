"""A stranger's first word may be a "no": it travels with the lead."""

from datetime import UTC, datetime

import pytest

from ingest.domain.plan import _noes_of
from ingest.domain.records import ActivityRecord
from shared.contracts import Lead

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "states"), [("unsubscribe", ["withdrawn"]), ("complaint", ["objected"]), ("demo_request", [])]
)
def test_no_inside_an_activity_becomes_a_consent_signal(kind: str, states: list[str]) -> None:
    record = ActivityRecord(lead=Lead(email="a@b.example"), kind=kind, occurred_at=NOON)  # type: ignore[arg-type]
    assert [signal.state for signal in _noes_of(record)] == states
