"""Judges a run before any of its numbers is believed: every promise of a 2xx was kept, exactly once. Pure."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from local_stack.bench.decisions import Decided
from local_stack.bench.drain import Ledger
from local_stack.bench.generator import Row

NAMED = 3


class Result(msgspec.Struct, frozen=True):
    """One record of an answer."""

    record_id: str
    nature: str


class Answer(msgspec.Struct, frozen=True):
    """What a 2xx promises."""

    submission_id: str
    duplicate: bool = False
    records: list[Result] = []


class Callback(msgspec.Struct, frozen=True):
    """One verified delivery at the CRM. ``at``: epoch seconds. ``assignment_id``: None if it is not about one."""

    id: str
    at: float
    type: str
    lead_id: str
    assignment_id: str | None


class Accepted(msgspec.Struct, frozen=True):
    """What the answers of a run promise. ``leads``: record id to the row of its request."""

    records: int
    leads: dict[str, Row]


def read_promises(rows: Sequence[Row]) -> Accepted:
    """Return the records that the 2xx of *rows* promise; an answer to a duplicate promises nothing new."""
    decoder = msgspec.json.Decoder(Answer | None)
    leads: dict[str, Row] = {}
    records: set[str] = set()
    for row in rows:
        if row.status // 100 != 2:
            continue
        answer = decoder.decode(row.answer)
        if answer is None or answer.duplicate:
            continue
        records.update(result.record_id for result in answer.records)
        leads.update((result.record_id, row) for result in answer.records if result.nature == "lead")
    return Accepted(len(records), leads)


def find_faults(
    accepted: Accepted, decided: Decided, callbacks: Sequence[Callback], before: Ledger, after: Ledger
) -> list[str]:
    """Return a sentence for each promise that was broken."""
    faults: list[str] = []
    if not after.is_balanced:
        faults.append(f"The ledger does not balance: {after.accepted} accepted, states {after.states}.")
    if after.in_flight:
        faults.append(f"{after.in_flight} leads are still in flight.")
    if after.parked > before.parked:
        faults.append(f"{after.parked - before.parked} leads were parked.")
    if (grown := after.accepted - before.accepted) != accepted.records:
        faults.append(f"The answers promise {accepted.records} records and the ledger grew by {grown}.")
    _name(faults, "records were answered with 2xx and never captured", set(accepted.leads) - set(decided.lead_of))
    _name(faults, "records were answered with 2xx and never decided", set(decided.undecided(accepted.leads)))
    owners = Counter(decided.assigned.values())
    _name(faults, "leads were assigned more than once", {lead for lead, times in owners.items() if times > 1})
    told = {one.assignment_id for one in callbacks if one.type == "lead.assigned" and one.assignment_id is not None}
    _name(faults, "assignments never reached the CRM", set(decided.assigned) - told)
    _name(faults, "callbacks speak of no assignment", told - set(decided.assigned))
    return faults


def _name(faults: list[str], what: str, ids: set[str]) -> None:
    if ids:
        faults.append(f"{len(ids)} {what}, such as {', '.join(sorted(ids)[:NAMED])}.")
