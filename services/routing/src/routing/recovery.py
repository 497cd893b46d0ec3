"""What routing learns again from announcements after its database was restored to an earlier instant.

Who has which lead, as it was announced: the CRM acts on it, so a second decision would be a second owner. And who may
not be contacted, before an older clearance is redelivered. Queued and nurtured leads have no owner: they are decided
anew.
"""

from collections.abc import Sequence

import msgspec

from routing.filing import Filing
from routing.handlers import Work, latest_blocks
from routing.repository import RoutingRepository
from shared.contracts import ConsentChanged, LeadAssigned, LeadCleared, LeadReassigned, LeadUnassigned
from shared.runtime import Handlers, Received

Announcement = LeadAssigned | LeadReassigned | LeadUnassigned


async def on_announced(work: Work, batch: Sequence[Received[Announcement]]) -> None:
    """Take the assignments of *batch* into the files, one announcement of each lead at a time."""
    rest = list(batch)
    while rest:
        first: dict[str, Received[Announcement]] = {}
        later = [received for received in rest if first.setdefault(received.key, received) is not received]
        await _learn_placed(work, list(first.values()))
        await _learn_ended(work, list(first.values()))
        rest = later


async def _learn_placed(work: Work, batch: Sequence[Received[Announcement]]) -> None:
    events = [event for received in batch if isinstance(event := received.event, LeadAssigned | LeadReassigned)]
    known = await work.repo.find_assignments([event.owner.assignment_id for event in events])
    cases = [(event, case_of(event)) for event in events if event.owner.assignment_id not in known]
    if not cases:
        return
    desk, reference = await work.repo.open_desk(work.now)
    await work.repo.load_cleared(desk, [case for _, case in cases])
    for event, _ in cases:
        await work.repo.load_rep(desk, event.owner.rep_id)
    filing = Filing(work, desk, reference.endpoints)
    for event, case in cases:
        filing.file_announced(desk.files[event.lead_id], case, event)
    await work.repo.save(filing)


async def _learn_ended(work: Work, batch: Sequence[Received[Announcement]]) -> None:
    ended = [
        (received, previous)
        for received in batch
        if isinstance(received.event, LeadUnassigned) and (previous := received.event.previous_assignment_id)
    ]
    if not ended:
        return
    desk, reference = await work.repo.open_desk(work.now)
    await work.repo.load_known(desk, [received.key for received, _ in ended])
    filing = Filing(work, desk, reference.endpoints)
    for received, previous in ended:
        file = desk.files.get(received.key)
        if file is not None and file.owner is not None and file.owner.assignment_id == previous:
            filing.file_announced_end(file, received.time)
    await work.repo.save(filing)


async def on_consent_changed(work: Work, batch: Sequence[Received[ConsentChanged]]) -> None:
    """Remember since when leads may not be contacted. What follows from it is done when the event is redelivered."""
    blocks = latest_blocks([received.event for received in batch if not received.event.may_contact])
    desk, _ = await work.repo.open_desk(work.now)
    await work.repo.load_blocked(desk, blocks)


def case_of(event: LeadAssigned | LeadReassigned) -> LeadCleared:
    """Return the clearance that an announced assignment rests on."""
    return msgspec.convert(
        {**msgspec.structs.asdict(event), "trigger": "submission"}, LeadCleared, from_attributes=True
    )


RECOVERY: Handlers[RoutingRepository] = {
    LeadAssigned: on_announced,
    LeadReassigned: on_announced,
    LeadUnassigned: on_announced,
    ConsentChanged: on_consent_changed,
}
