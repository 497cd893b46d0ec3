"""What consent learns again from its own announcements after its database was restored to an earlier instant.

Every "no", before anything is decided anew: one that came over HTTP is on no other topic, and one that is must not be
overtaken by an older question. A forgotten "yes" stays forgotten: nobody may be contacted on half of its proof.
"""

from collections.abc import Sequence

from consent.domain.statements import NOES
from consent.handlers import decide_again
from consent.ledger import EXPIRED, LedgerRow, take_in
from consent.repository import ConsentRepository
from shared.contracts import ConsentChanged
from shared.runtime import Handlers, Received, UnitOfWork


async def on_announced(work: UnitOfWork[ConsentRepository], batch: Sequence[Received[ConsentChanged]]) -> None:
    """Take every "no" of *batch* that is not in the ledger into it, and decide anew about its lead."""
    noes = [_no(received.event) for received in batch if is_no(received.event)]
    lead_ids = sorted({row.lead_id for row in noes})
    await work.repo.lock_leads(lead_ids)
    ledgers = await work.repo.load_ledgers(lead_ids)
    known = {(lead_id, row.record_id) for lead_id, ledger in ledgers.items() for row in ledger.rows}
    rows = [row for row in noes if (row.lead_id, row.record_id) not in known]
    states = await work.repo.load_states(sorted({row.lead_id for row in rows}))
    for row in rows:
        states[row.lead_id].standing = take_in(states[row.lead_id].standing, [row])
    decisions = await decide_again(work, states.values())
    await work.repo.add_events(rows)
    await work.repo.save(list(states.values()), decisions, work.now)


def is_no(event: ConsentChanged) -> bool:
    """Tell whether the lead said no, or its address was put on the suppression list: the list forgot it as well."""
    return event.state in NOES or (event.state == EXPIRED and event.method == "suppressed")


def _no(event: ConsentChanged) -> LedgerRow:
    return LedgerRow(
        lead_id=event.lead_id,
        record_id=event.record_id,
        state="withdrawn" if event.state == EXPIRED else event.state,
        purposes=event.purposes,
        channels=event.channels,
        happened_at=event.changed_at,
        known_at=event.changed_at,
        method=event.method,
        actor="leadrail",
    )


RECOVERY: Handlers[ConsentRepository] = {ConsentChanged: on_announced}
