"""A service's parking routes, as the ``leadrail parked`` command calls them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal
from urllib.parse import quote

import msgspec

from shared.service_client import NoAnswer, Refusal, ServiceClient, converted

__all__ = ["NoAnswer", "Parked", "ParkingClient", "Refusal", "Remaining"]


class Parked(msgspec.Struct, frozen=True):
    """One event that waits for a person."""

    consumer: str
    lead_id: str
    event_id: str
    type: str
    topic: str
    partition: int
    offset: int
    error: str
    parked_at: datetime


class Remaining(msgspec.Struct, frozen=True):
    """How many events a call took out of the lot, and how many of the lead still wait."""

    released: int
    remaining: int


class ParkingClient(ServiceClient):
    """Calls one service with one API key. Every method's errors: `Refusal`, `NoAnswer`."""

    def list_events(self, *, consumer: str | None = None, lead_id: str | None = None) -> Iterator[Parked]:
        """Yield what is parked, oldest first."""
        return self.items("/v1/parking", {"consumer": consumer, "lead_id": lead_id}, Parked)

    def retry(self, consumer: str, lead_id: str) -> Remaining:
        """Handle the lead's parked events again, all or none."""
        return converted(self.call("POST", self._path(consumer, lead_id, "retry")), Remaining)

    def skip(self, consumer: str, lead_id: str, why: str) -> Remaining:
        """Give up the lead's first parked event."""
        return converted(self.call("POST", self._path(consumer, lead_id, "skip"), json={"why": why}), Remaining)

    def _path(self, consumer: str, lead_id: str, verb: Literal["retry", "skip"]) -> str:
        return f"/v1/parking/{quote(consumer, safe='')}/{quote(lead_id, safe='')}/{verb}"
