"""Recorded sender payloads, and deliveries made of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.domain.source import Inbound, Source

WEBHOOKS = Path(__file__).parents[2] / "fixtures" / "webhooks"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def webhook() -> Callable[[str], Any]:
    """Return a function that loads a recorded JSON body by its path."""
    return lambda path: json.loads((WEBHOOKS / path).read_text())


@pytest.fixture
def make_inbound() -> Callable[..., Inbound]:
    """Return a builder of deliveries with every field defaulted."""

    def make(payload: Any, kind: str = "json", source: dict[str, Any] | None = None, **fields: Any) -> Inbound:
        values: dict[str, Any] = {"received_at": NOON, **fields}
        return Inbound(payload=payload, source=Source(key="s", kind=kind, **(source or {})), **values)

    return make
