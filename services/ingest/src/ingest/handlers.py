"""What ingest does with events: enrich captured leads, and follow each record to its end in the ledger."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ingest.domain.ledger import ON_THE_WAY, state_after
from ingest.domain.merge import KnownLead, merge_lead
from ingest.domain.normalisation import EnrichSettings, enrich
from ingest.repository import IngestRepository
from ingest.repository_ledger import LeadMove, OwnMove, Superseded
from shared.contracts import (
    Event,
    Facts,
    LeadAssigned,
    LeadCaptured,
    LeadEnriched,
    LeadNurtured,
    LeadParked,
    LeadReassigned,
    LeadReleased,
    LeadRetained,
    LeadUnassigned,
    LeadWithheld,
)
from shared.ids import is_uuid
from shared.runtime import Handlers, Received, UnitOfWork
from shared.runtime.metrics import SPEED_TO_LEAD


class Enricher:
    """The enrich worker: merge with what is known, normalise, pass on."""

    def __init__(self, settings: EnrichSettings) -> None:
        self._settings = settings

    async def on_lead_captured(
        self, work: UnitOfWork[IngestRepository], batch: Sequence[Received[LeadCaptured]]
    ) -> None:
        known = await work.repo.leads.find_known({received.key for received in batch})
        facts_by_lead: dict[str, Facts] = {}
        for received in batch:
            event = received.event
            merged, facts = self._enrich(known.get(event.lead_id), event)
            known[event.lead_id] = merged
            facts_by_lead[event.lead_id] = facts
            work.emit(
                LeadEnriched(
                    lead_id=event.lead_id,
                    origin=event.origin,
                    lead=merged.lead,
                    facts=facts,
                    consent=event.consent,
                    activities=event.activities,
                    has_gpc=event.has_gpc,
                ),
                cause=received,
            )
            SPEED_TO_LEAD.labels("enriched").observe(max(0.0, (work.now - event.origin.received_at).total_seconds()))
        await work.repo.leads.save(
            [(lead_id, known[lead_id], facts) for lead_id, facts in facts_by_lead.items()], work.now
        )

    def _enrich(self, known: KnownLead | None, event: LeadCaptured) -> tuple[KnownLead, Facts]:
        """Normalise before merging: a phone that turns out to be none must not displace one that is."""
        lead, facts = enrich(event.lead, self._settings)
        merged = merge_lead(known, lead, event.origin.received_at)
        if known is not None:
            lead, again = enrich(merged.lead, self._settings)
            # What the submission itself could not give stays explained: the merged lead no longer has the odd value.
            notes = {name: note for name, note in facts.notes.items() if getattr(lead, name, None) is None}
            facts = msgspec.structs.replace(again, notes=notes | again.notes)
            merged = KnownLead(lead=lead, latest_at=merged.latest_at)
        return merged, facts

    @property
    def handlers(self) -> Handlers[IngestRepository]:
        return {LeadCaptured: self.on_lead_captured}


async def on_record_decided(work: UnitOfWork[IngestRepository], batch: Sequence[Received[Any]]) -> None:
    """End the record, and those it supersedes: the lead reached an owner, a queue or nurture, or was withheld."""
    own = {
        received.event.origin.record_id: OwnMove(
            record_id=received.event.origin.record_id, state=state_after(received.event), at=received.time
        )
        for received in sorted(batch, key=lambda received: received.time)
    }
    await work.repo.ledger.save_own_moves([own[record_id] for record_id in sorted(own)])
    superseded: dict[str, Superseded] = {}
    for received in batch:
        origin = received.event.origin
        earlier = superseded.get(received.key)
        if not origin.is_new_lead and (earlier is None or origin.record_id >= earlier.before):
            superseded[received.key] = Superseded(
                lead_id=received.key, before=origin.record_id, state=own[origin.record_id].state
            )
    await work.repo.ledger.save_superseded(list(superseded.values()))


async def on_lead_parked(work: UnitOfWork[IngestRepository], batch: Sequence[Received[LeadParked]]) -> None:
    """Let the records whose events are parked wait for a person, if they are still in flight."""
    await work.repo.ledger.save_lead_moves(_lead_moves(batch, "in_flight", "parked"))


async def on_lead_released(work: UnitOfWork[IngestRepository], batch: Sequence[Received[LeadReleased]]) -> None:
    """Retried events go on; a lead whose events were skipped stays where it is: nothing will move it any more."""
    retried = [received for received in batch if received.event.outcome == "retried"]
    await work.repo.ledger.save_lead_moves(_lead_moves(retried, "parked", "in_flight"))


def holds_records(event: LeadParked | LeadReleased) -> bool:
    """Tell whether records wait, or go on, because of it. What has a damaged id would only be parked here again."""
    return event.consumer in ON_THE_WAY and is_uuid(event.lead_id)


def _lead_moves(
    batch: Sequence[Received[LeadParked]] | Sequence[Received[LeadReleased]], old_state: str, new_state: str
) -> list[LeadMove]:
    moves: dict[tuple[str, str], LeadMove] = {}
    for received in batch:
        named = received.event.record_ids
        for record_id in (None,) if named is None else filter(is_uuid, named):
            moves[received.key, record_id or ""] = LeadMove(
                lead_id=received.key, record_id=record_id, old_state=old_state, new_state=new_state, at=received.time
            )
    return [moves[key] for key in sorted(moves)]


LEDGER_HANDLERS: Handlers[IngestRepository] = {
    LeadAssigned: on_record_decided,
    LeadReassigned: on_record_decided,
    LeadRetained: on_record_decided,
    LeadUnassigned: on_record_decided,
    LeadNurtured: on_record_decided,
    LeadWithheld: on_record_decided,
    LeadParked: on_lead_parked,
    LeadReleased: on_lead_released,
}
LEDGER_WANTED: dict[type[Event], Callable[[Any], bool]] = {LeadParked: holds_records, LeadReleased: holds_records}
