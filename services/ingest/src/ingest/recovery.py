"""What ingest learns again from its own announcements after its database was restored to an earlier instant.

Records, so that the ledger counts what the pipeline carries; whose address is whose, so that a person who comes again
is the lead that has an owner already; and the delivery keys, so that a delivery that is sent again is recognised. What
was never announced (quarantined and ignored records, raw bodies, the senders' own ids of people) is on no topic.
"""

from collections.abc import Sequence

from ingest.domain.normalisation import fold_email, fold_phone
from ingest.repository import IngestRepository
from ingest.repository_recovery import Announced, RecoveryRepository
from shared.contracts import ActivityRecorded, LeadCaptured
from shared.runtime import Handlers, Received, UnitOfWork


class RecordRecovery:
    """Reads ``leads.captured`` and ``leads.activity``."""

    def __init__(self, default_country: str | None) -> None:
        self._default_country = default_country

    async def on_announced(
        self, work: UnitOfWork[IngestRepository], batch: Sequence[Received[LeadCaptured | ActivityRecorded]]
    ) -> None:
        """Remember the records of *batch*, in the order in which they came in."""
        records = {received.event.origin.record_id: self._announced(received.event) for received in batch}
        await RecoveryRepository(work.repo.sql).save([records[record_id] for record_id in sorted(records)])

    def _announced(self, event: LeadCaptured | ActivityRecorded) -> Announced:
        origin = event.origin
        email = phone = None
        if isinstance(event, LeadCaptured):
            lead = event.lead
            email = fold_email(lead.email) if lead.email is not None else None
            phone = fold_phone(lead.phone, lead.country or self._default_country) if lead.phone is not None else None
        is_lead = isinstance(event, LeadCaptured)
        return Announced(
            record_id=origin.record_id,
            submission_id=origin.submission_id,
            source_key=origin.source_key,
            nature="lead" if is_lead else "activity",
            state="in_flight" if is_lead else "activity",
            lead_id=event.lead_id,
            received_at=origin.received_at,
            email=email,
            phone=phone,
            delivery_keys=event.delivery_keys,
        )

    @property
    def handlers(self) -> Handlers[IngestRepository]:
        """Return the handlers of a recovery."""
        return {LeadCaptured: self.on_announced, ActivityRecorded: self.on_announced}
