"""Turns decisions into rows, events and callbacks. What is filed is saved and published together, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

import msgspec

from routing import metrics
from routing.domain.callback_body import CallbackType, describe_assignment, describe_withdrawal
from routing.domain.decide import ACCOUNT_OWNER, account_domain, encode_trace
from routing.domain.decision import Assign, Decision, Hold, Move, Nurture, Queue, Retain, Tenure, Via
from routing.domain.desk import Desk, LeadFile
from routing.domain.trace import Trace
from shared.contracts import (
    LeadAssigned,
    LeadCleared,
    LeadNurtured,
    LeadReassigned,
    LeadRetained,
    LeadUnassigned,
    Owner,
)
from shared.ids import id_from, new_id
from shared.runtime import Received, UnitOfWork
from shared.runtime.metrics import SPEED_TO_LEAD

Cause = Received[Any] | None


@dataclass(frozen=True, slots=True)
class CallbackRow:
    """A callback to write. ``copies``: how many endpoints get the same event."""

    callback_id: str
    endpoint_id: str
    lead_id: str
    event_type: CallbackType
    body: bytes
    received_at: datetime | None
    copies: int


@dataclass(slots=True)
class Filing:
    """The outcomes of one batch. ``endpoints``: ids of the endpoints that want each event type."""

    work: UnitOfWork[Any]
    desk: Desk
    endpoints: Mapping[str, Sequence[str]]
    decisions: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    """(decision_id, lead_id, outcome, trace)"""
    started: list[tuple[Tenure, str, str, str]] = field(default_factory=list)
    """(tenure, via, source_key, decision_id)"""
    ended: list[tuple[str, str]] = field(default_factory=list)
    worked: list[str] = field(default_factory=list)
    queued: dict[str, tuple[str, str | None, str, str]] = field(default_factory=dict)
    """(reason, rule_id, source_key, decision_id) by lead"""
    dequeued: set[str] = field(default_factory=set)
    cancelled: dict[str, str] = field(default_factory=dict)
    """Leads whose undelivered callbacks must not be sent any more, with the state they go to."""
    callbacks: list[CallbackRow] = field(default_factory=list)

    def file_decision(self, file: LeadFile, case: LeadCleared, decision: Decision, cause: Cause) -> None:
        """File what came out of routing a lead that was cleared, or moved."""
        decision_id = new_id()
        match decision:
            case Assign():
                self._file_assign(file, case, decision, decision_id, cause)
            case Move():
                self._file_move(file, case, decision, decision_id, cause)
            case Retain(owner, trace):
                self._keep_trace(decision_id, file, "retained", trace, "-")
                if trace.settled_by == "existing_owner":
                    self._emit(_retained(case, owner), cause)
            case Queue(reason, rule_id, trace):
                self._keep_trace(decision_id, file, "fallback_queue", trace, "-")
                metrics.FALLBACK.labels(reason).inc()
                file.is_waiting = True
                self.queued[file.lead_id] = (reason, rule_id, case.origin.source_key, decision_id)
                self.dequeued.discard(file.lead_id)
                self._emit(_unassigned(case, "fallback_queue", rule_id, None), cause)
            case Nurture(trace):
                self._keep_trace(decision_id, file, "nurtured", trace, "-")
                self._leave_queue(file)
                self._emit(LeadNurtured(lead_id=case.lead_id, origin=case.origin, score=case.score), cause)
            case Hold(trace):
                self._keep_trace(decision_id, file, "held", trace, "-")
                self._leave_queue(file)
                self._emit(_unassigned(case, "consent_withdrawn", None, None), cause)
            case _:
                assert_never(decision)

    def file_withdrawal(self, file: LeadFile, changed_at: datetime, cause: Cause) -> None:
        """End what a lead has, because consent forbids contact: assignment, place in the queue, callbacks to come."""
        self.cancelled[file.lead_id] = "cancelled"
        owner, case = file.owner, file.case
        if owner is None and not file.is_waiting:
            return
        previous = owner.assignment_id if owner is not None else None
        if owner is not None:
            self._end(owner, "consent_withdrawn")
            self.desk.relieve(owner)
            file.owner = None
            self._tell_withdrawal(owner, changed_at)
        self._leave_queue(file)
        if case is not None:
            self._emit(_unassigned(case, "consent_withdrawn", None, previous), cause)

    def file_worked(self, file: LeadFile, owner: Tenure) -> None:
        """Note that a deadline of the assignment was met: it no longer counts against the rep's cap."""
        self.desk.relieve(owner)
        self.worked.append(owner.assignment_id)
        file.owner = replace(owner, is_worked=True)

    def _file_assign(self, file: LeadFile, case: LeadCleared, decision: Assign, decision_id: str, cause: Cause) -> None:
        self._keep_trace(decision_id, file, "assigned", decision.trace, decision.via)
        tenure = self._start(file, case, decision, decision_id)
        owner = _owner(tenure)
        event = LeadAssigned(
            lead_id=case.lead_id,
            origin=case.origin,
            lead=case.lead,
            facts=case.facts,
            score=case.score,
            verdict=case.verdict,
            owner=owner,
        )
        self._emit(event, cause)
        seconds = (self.work.now - case.origin.received_at).total_seconds()
        SPEED_TO_LEAD.labels("assigned").observe(max(0.0, seconds))
        body = describe_assignment("lead.assigned", case, owner, self.desk.roster.reps[owner.rep_id].email)
        self._call_back("lead.assigned", tenure, body, case.origin.received_at)

    def _file_move(self, file: LeadFile, case: LeadCleared, decision: Move, decision_id: str, cause: Cause) -> None:
        self._keep_trace(decision_id, file, "reassigned", decision.trace, decision.via)
        previous = decision.previous
        self._end(previous, decision.reason)
        tenure = self._start(file, case, decision, decision_id)
        owner = _owner(tenure)
        event = LeadReassigned(
            lead_id=case.lead_id,
            origin=case.origin,
            lead=case.lead,
            facts=case.facts,
            score=case.score,
            verdict=case.verdict,
            owner=owner,
            previous_assignment_id=previous.assignment_id,
            previous_rep_id=previous.rep_id,
            reason=decision.reason,
        )
        self._emit(event, cause)
        # The new callback says everything the older ones would: sent after it, they would name the wrong owner.
        self.cancelled.setdefault(file.lead_id, "superseded")
        before = {"assignment_id": previous.assignment_id, "rep_id": previous.rep_id, "reason": decision.reason}
        email = self.desk.roster.reps[owner.rep_id].email
        body = describe_assignment("lead.reassigned", case, owner, email, before)
        self._call_back("lead.reassigned", tenure, body, None)

    def file_announced(self, file: LeadFile, case: LeadCleared, event: LeadAssigned | LeadReassigned) -> None:
        """File an assignment as it was announced before the database forgot it: the very same, told the CRM under the
        same id with the same bytes. Nothing is decided and nothing announced."""
        owner, now = event.owner, self.desk.roster.reps.get(event.owner.rep_id)
        previous = {}
        if isinstance(event, LeadReassigned):
            previous = {
                "assignment_id": event.previous_assignment_id, "rep_id": event.previous_rep_id, "reason": event.reason,
            }  # fmt: skip
        if file.owner is not None:
            self._end(file.owner, previous.get("reason", "restored"))
            self.desk.relieve(file.owner)
            self.cancelled.setdefault(file.lead_id, "superseded")
        decision_id, via = new_id(), _via_of(owner, previous.get("reason", ""))
        trace = Trace(
            decided_at=owner.assigned_at,
            document_version=owner.document_version,
            roster_version=self.desk.roster.version,
            settled_by="recovery",
            reason="as_announced_before_the_restore",
        )
        self.decisions.append(
            (decision_id, file.lead_id, "reassigned" if previous else "assigned", encode_trace(trace))
        )
        file.owner = Tenure(lead_id=file.lead_id, **msgspec.structs.asdict(owner))
        self.started.append((file.owner, via, case.origin.source_key, decision_id))
        self._leave_queue(file)
        self.desk.claim_account(account_domain(case.facts), owner.rep_id, previous.get("rep_id"))
        if now is not None:
            self.desk.give(owner.rep_id)
        kind: CallbackType = "lead.reassigned" if previous else "lead.assigned"
        body = describe_assignment(kind, case, owner, now.email if now is not None else None, previous or None)
        self._call_back(kind, file.owner, body, None)

    def file_announced_end(self, file: LeadFile, ended_at: datetime) -> None:
        """End an assignment as it was announced before the database forgot it: consent was withdrawn."""
        if file.owner is not None:
            self.cancelled[file.lead_id] = "cancelled"
            self._end(file.owner, "consent_withdrawn")
            self.desk.relieve(file.owner)
            self._tell_withdrawal(file.owner, ended_at)
            file.owner = None

    def _start(self, file: LeadFile, case: LeadCleared, decision: Assign | Move, decision_id: str) -> Tenure:
        rep = self.desk.roster.reps[decision.rep_id]
        tenure = Tenure(
            assignment_id=new_id(),
            lead_id=file.lead_id,
            rep_id=rep.rep_id,
            rep_name=rep.name,
            team=rep.team,
            pool=decision.pool,
            rule_id=decision.rule_id,
            document_version=self.desk.document_version,
            assigned_at=self.work.now,
        )
        self.started.append((tenure, decision.via, case.origin.source_key, decision_id))
        file.owner = tenure
        self._leave_queue(file)
        previous = decision.previous.rep_id if isinstance(decision, Move) else None
        self.desk.claim_account(account_domain(case.facts), rep.rep_id, previous)
        return tenure

    def _end(self, owner: Tenure, reason: str) -> None:
        self.ended.append((owner.assignment_id, reason))

    def _leave_queue(self, file: LeadFile) -> None:
        if file.is_waiting:
            file.is_waiting = False
            self.queued.pop(file.lead_id, None)
            self.dequeued.add(file.lead_id)

    def _keep_trace(self, decision_id: str, file: LeadFile, outcome: str, trace: Trace, via: str) -> None:
        self.decisions.append((decision_id, file.lead_id, outcome, encode_trace(trace)))
        metrics.DECISIONS.labels(outcome, via).inc()

    def _tell_withdrawal(self, owner: Tenure, changed_at: datetime) -> None:
        body = describe_withdrawal(owner.lead_id, changed_at, self.work.now, owner.assignment_id, owner.rep_id)
        self._call_back("consent.withdrawn", owner, body, None, is_once=False)

    def _call_back(
        self, kind: CallbackType, about: Tenure, body: bytes, received_at: datetime | None, *, is_once: bool = True
    ) -> None:
        """Write *body* for every endpoint that wants it. ``is_once``: an assignment is told of under one id for ever,
        also by a database that forgot having told it; a CRM drops what it has."""
        endpoint_ids = self.endpoints.get(kind, ())
        for endpoint_id in endpoint_ids:
            callback_id = id_from(about.assignment_id, endpoint_id, kind) if is_once else new_id()
            self.callbacks.append(
                CallbackRow(callback_id, endpoint_id, about.lead_id, kind, body, received_at, len(endpoint_ids))
            )
            metrics.CALLBACKS_QUEUED.labels(kind).inc()

    def _emit(self, event: Any, cause: Cause) -> None:
        self.work.emit(event, cause=cause)


def _via_of(owner: Owner, reason: str) -> Via:
    """Return what gave the lead to its owner; an announcement says it by its rule and its reason."""
    if owner.rule_id == ACCOUNT_OWNER:
        return "account_owner"
    if owner.rule_id == "manual":
        return "person"
    return "sla" if reason.startswith("sla:") else "rule"


def _owner(tenure: Tenure) -> Owner:
    return Owner(
        assignment_id=tenure.assignment_id,
        rep_id=tenure.rep_id,
        rep_name=tenure.rep_name,
        team=tenure.team,
        pool=tenure.pool,
        rule_id=tenure.rule_id,
        document_version=tenure.document_version,
        assigned_at=tenure.assigned_at,
    )


def _retained(case: LeadCleared, owner: Tenure) -> LeadRetained:
    return LeadRetained(lead_id=case.lead_id, origin=case.origin, score=case.score, owner=_owner(owner))


def _unassigned(case: LeadCleared, reason: Any, rule_id: str | None, previous: str | None) -> LeadUnassigned:
    return LeadUnassigned(
        lead_id=case.lead_id, origin=case.origin, reason=reason, rule_id=rule_id, previous_assignment_id=previous
    )
