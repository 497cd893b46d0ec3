"""What routing does with events: load, decide, file, save."""

from collections.abc import Sequence
from datetime import datetime

from routing.domain.decide import move_lead, route_lead
from routing.domain.desk import Desk
from routing.filing import Filing
from routing.repository import RoutingRepository
from shared.contracts import ConsentChanged, LeadCleared, SlaClockChanged
from shared.runtime import Handlers, Received, UnitOfWork

Work = UnitOfWork[RoutingRepository]


async def on_lead_cleared(work: Work, batch: Sequence[Received[LeadCleared]]) -> None:
    """Give each lead to somebody, or say why nobody gets it."""
    desk, reference = await work.repo.open_desk(work.now)
    await work.repo.load_cleared(desk, [received.event for received in batch])
    filing = Filing(work, desk, reference.endpoints)
    for received in batch:
        case, file = received.event, desk.files[received.event.lead_id]
        filing.file_decision(file, case, route_lead(case, file, desk), received)
    await work.repo.save(filing)


async def on_sla_clock_changed(work: Work, batch: Sequence[Received[SlaClockChanged]]) -> None:
    """Take leads from reps who let a deadline pass, and note leads whose rep met one. Only clocks of the present
    assignment count: a clock of an earlier one speaks of somebody who no longer has the lead."""
    wanted = [received for received in batch if is_about_assignment(received.event)]
    if not wanted:
        return
    desk, reference = await work.repo.open_desk(work.now)
    await work.repo.load_known(desk, [received.event.lead_id for received in wanted])
    filing = Filing(work, desk, reference.endpoints)
    for received in wanted:
        _apply_clock(received, desk, filing)
    await work.repo.save(filing)


def is_about_assignment(event: SlaClockChanged) -> bool:
    """Say if the clock asks something of routing."""
    return event.assignment_id is not None and (event.action == "reassign" or event.state == "met")


def _apply_clock(received: Received[SlaClockChanged], desk: Desk, filing: Filing) -> None:
    event, file = received.event, desk.files.get(received.event.lead_id)
    if file is None or file.case is None or file.owner is None or file.owner.assignment_id != event.assignment_id:
        return
    if event.state == "met":
        if not file.owner.is_worked:
            filing.file_worked(file, file.owner)
    elif not file.is_blocked(file.case.verdict.decided_at):
        reason = f"sla:{event.policy_id}:{event.stage}"
        filing.file_decision(file, file.case, move_lead(file.case, file.owner, reason, desk), received)


async def on_consent_changed(work: Work, batch: Sequence[Received[ConsentChanged]]) -> None:
    """Stop everything about leads that may no longer be contacted. The block is remembered: a clearance that was
    decided before it and arrives after it is held."""
    blocking = [received for received in batch if not received.event.may_contact]
    if not blocking:
        return
    desk, reference = await work.repo.open_desk(work.now)
    await work.repo.load_blocked(desk, latest_blocks([received.event for received in blocking]))
    filing = Filing(work, desk, reference.endpoints)
    for received in blocking:
        file = desk.files[received.event.lead_id]
        # A clearance decided after the withdrawal knew of it (a new grant came since): it stands.
        if file.case is None or file.is_blocked(file.case.verdict.decided_at):
            filing.file_withdrawal(file, received.event.changed_at, received)
    await work.repo.save(filing)


def latest_blocks(events: Sequence[ConsentChanged]) -> dict[str, datetime]:
    """Return since when each lead may not be contacted."""
    blocks: dict[str, datetime] = {}
    for event in events:
        blocks[event.lead_id] = max(event.changed_at, blocks.get(event.lead_id, event.changed_at))
    return blocks


HANDLERS: Handlers[RoutingRepository] = {
    LeadCleared: on_lead_cleared,
    SlaClockChanged: on_sla_clock_changed,
    ConsentChanged: on_consent_changed,
}
