"""Addresses that must stop: onto the suppression list, and to everybody who has them."""

from collections.abc import Sequence
from typing import Final

from consent.domain.statements import Mark, Relation, Standing, relate
from consent.domain.suppression import CHANNELS_OF, AddressKind, find_hash
from consent.ledger import LedgerRow, stopped_channels
from consent.repository import ConsentRepository, LeadState
from shared.contracts import ActivityRecorded, LeadScored
from shared.runtime import Received, UnitOfWork

SUPPRESSED: Final = "consent_suppressed"
SUPPRESSING: Final = {"unsubscribe", "hard_bounce", "complaint"}

Work = UnitOfWork[ConsentRepository]
Stop = tuple[bytes, Sequence[str], str]
"""Hash of an address, the channels to close, the reason."""

_RELATIONS: Final[dict[AddressKind, Relation]] = {"email": "stop_mail", "phone": "stop_phone"}


async def stop_addresses(work: Work, stops: Sequence[Stop], actor: str) -> None:
    """Put addresses on the list. The leads that have them are decided anew by a timer that is due at once.

    Not here: those leads may be held by others who wait for this address.
    """
    await work.repo.suppress(stops, work.now, actor)
    for digest, _, _ in stops:
        work.set_timer(SUPPRESSED, digest.hex(), work.now, {})


def stops_of(
    repo: ConsentRepository,
    states: dict[str, LeadState],
    told: Sequence[tuple[Received[ActivityRecorded], LedgerRow]],
) -> list[Stop]:
    """Return the addresses that unsubscribes, complaints and bounces of known leads stop."""
    return [
        (digest, channels, received.event.kind)
        for received, row in told
        if received.event.kind in SUPPRESSING
        for kind, channels in _closed(row).items()
        if (digest := _hash(repo, kind, states[received.key].scored)) is not None
    ]


def stops_before_known(
    repo: ConsentRepository, states: dict[str, LeadState], batch: Sequence[Received[LeadScored]]
) -> list[Stop]:
    """Return the addresses that were stopped before we knew the lead, and so its address."""
    return [
        (digest, CHANNELS_OF[kind], "stopped_before_known")
        for received in batch
        if states[received.key].scored is None
        for kind, relation in _RELATIONS.items()
        if relation in states[received.key].standing.relations
        and (digest := _hash(repo, kind, received.event)) is not None
    ]


def remember_stop(standing: Standing, row: LedgerRow) -> Standing:
    """Return *standing* with the knowledge which addresses must stop once they are known."""
    for kind in _closed(row):
        standing = relate(standing, _RELATIONS[kind], Mark(row.happened_at, row.known_at, row.record_id))
    return standing


def _closed(row: LedgerRow) -> dict[AddressKind, tuple[str, ...]]:
    stopped = stopped_channels(row)
    closed = {kind: tuple(one for one in CHANNELS_OF[kind] if one in stopped) for kind in _RELATIONS}
    return {kind: channels for kind, channels in closed.items() if channels}


def _hash(repo: ConsentRepository, kind: AddressKind, event: LeadScored | None) -> bytes | None:
    if event is None:
        return None
    return find_hash(repo.pepper, kind, event.lead.email if kind == "email" else event.lead.phone)
