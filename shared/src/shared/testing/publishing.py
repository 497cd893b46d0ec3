"""A broker that remembers."""

from collections.abc import Sequence

import msgspec

from shared.contracts import EVENT_BY_TYPE, Event
from shared.kafka import Outgoing, PublishFailed


class RecordingPublisher:
    """Keeps what is published; can be switched off to be a broker that is away."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []
        self.is_away = False

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Remember *events*. Errors: `PublishFailed` while ``is_away``."""
        if self.is_away:
            raise PublishFailed("away")
        self.published.extend(events)

    async def close(self) -> None:
        """Nothing to give up."""

    def take(self) -> list[Event]:
        """Return the events published since the last call, decoded."""
        taken, self.published = self.published, []
        return [decode(outgoing) for outgoing in taken]


def decode(outgoing: Outgoing) -> Event:
    """Return the event inside."""
    return msgspec.json.decode(outgoing.payload, type=EVENT_BY_TYPE[outgoing.type])
