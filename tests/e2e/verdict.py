"""The judge: were the promises kept? Pure, and shares no code with what it judges."""

from collections.abc import Sequence

from .checker.callbacks import assignment_of, judge_callbacks
from .checker.consent_replay import judge_consent
from .checker.deadlines import judge_deadlines
from .checker.facts import Attempt, Evidence, Promise, some
from .checker.handling import judge_handling
from .checker.intake import judge_intake, judge_ledger
from .checker.ownership import judge_decisions, judge_order, judge_owners
from .checker.score_replay import judge_scores

WAITS_FOR_SOMEBODY = {"unassigned", "parked"}


def find_unfinished(promises: Sequence[Promise], evidence: Evidence) -> list[str]:
    """Return what is still on its way: nobody may judge yet. Asks for what changes only, not for the topics."""
    state_of = {row["record_id"]: row["state"] for row in evidence.records}
    clocks = {row["clock_id"] for row in evidence.clocks if row["stage"] == "first_touch" or row["closed_at"]}
    told = {assignment_of(one) for one in evidence.received}
    owned = [row["assignment_id"] for row in evidence.assignments if row["ended_at"] is None]
    leads = [
        promise.record_id
        for promise in promises
        if promise.nature == "lead" and state_of.get(promise.record_id) not in WAITS_FOR_SOMEBODY
    ]
    return [
        *some(
            "records that were answered with 2xx are unknown",
            (p.record_id for p in promises if p.record_id not in state_of),
        ),
        *some("records are in flight", (one for one, state in state_of.items() if state == "in_flight")),
        *some("callbacks are pending", (row["callback_id"] for row in evidence.sent if row["state"] == "pending")),
        *some("assignments are unknown to the CRM", (one for one in owned if one not in told)),
        *some("assignments have no clock", (one for one in owned if f"{one}.first_touch" not in clocks)),
        *some("records have no closed clock of their assignment", (r for r in leads if f"{r}.assign" not in clocks)),
    ]


def find_faults(promises: Sequence[Promise], evidence: Evidence, attempts: Sequence[Attempt] = ()) -> list[str]:
    """Return a sentence per broken promise. *attempts*: every request that was ever sent, if all are known."""
    return [
        *find_unfinished(promises, evidence),
        *judge_ledger(evidence),
        *judge_intake(promises, attempts, evidence),
        *judge_handling(evidence),
        *judge_order(evidence),
        *judge_scores(evidence),
        *judge_consent(evidence),
        *judge_decisions(promises, evidence),
        *judge_owners(evidence),
        *judge_callbacks(evidence),
        *judge_deadlines(evidence),
    ]
