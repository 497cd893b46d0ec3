"""Decides a whole batch of arrivals at once: duplicates, whose lead each record is, and what follows.

Pure and optimistic: it decides on what was known when the transaction read. Constraints judge it afterwards; whoever
loses a race rolls back and decides again on what the winner committed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import msgspec

from ingest.domain.arrival import (
    Arrival,
    DeliveryRow,
    IdentityKey,
    IdentityKind,
    Known,
    KnownDelivery,
    KnownIdentity,
    Numbered,
    Outcome,
    Plan,
    RecordRow,
    Result,
)
from ingest.domain.records import (
    ActivityRecord,
    ConsentRecord,
    IgnoredRecord,
    LeadRecord,
    Nature,
    State,
    UnmappableRecord,
)
from shared.contracts import (
    ActivityKind,
    ActivityRecorded,
    ConsentSignal,
    DeliveryKey,
    Event,
    Lead,
    LeadCaptured,
    Origin,
    Touch,
)


class _Fate(msgspec.Struct, frozen=True):
    """What one record becomes."""

    nature: Nature
    state: State
    reason: str | None = None
    lead_id: str | None = None
    event: Event | None = None


def plan_batch(arrivals: Sequence[Arrival], known: Known) -> Plan:
    """Return the plan for *arrivals* in their order: an earlier one is known to a later one of the same batch."""
    return _Planner(known).plan(arrivals)


class _Planner:
    def __init__(self, known: Known) -> None:
        self._known = known
        self._plan = Plan()
        self._identities: dict[IdentityKey, KnownIdentity] = dict(known.identities)
        self._deliveries: dict[tuple[str, str], KnownDelivery] = dict(known.deliveries)

    def plan(self, arrivals: Sequence[Arrival]) -> Plan:
        for arrival in arrivals:
            self._plan.outcomes.append(self._accept(arrival))
        return self._plan

    def _accept(self, arrival: Arrival) -> Outcome:
        if arrival.replaced:
            return self._accept_replay(arrival)
        if arrival.idempotency_key is not None:
            earlier = self._deliveries.get((arrival.source_key, arrival.idempotency_key))
            if earlier is not None:
                is_same = earlier.fingerprint == arrival.fingerprint
                return Outcome(
                    verdict="duplicate" if is_same else "conflict",
                    submission_id=earlier.submission_id,
                    results=earlier.results,
                )
        if self._names_unknown_lead(arrival):
            return Outcome(verdict="lead_unknown", submission_id=arrival.submission_id)
        results: list[Result] = []
        own: list[str] = []
        first: KnownDelivery | None = None
        for numbered in arrival.records:
            earlier = self._earlier(arrival, numbered)
            if earlier is not None:
                results.extend(earlier.results)
                first = first or earlier
                continue
            result = self._take(arrival, numbered)
            results.append(result)
            own.append(result.record_id)
        if not own and first is not None:
            return Outcome(verdict="duplicate", submission_id=first.submission_id, results=tuple(results))
        self._plan.submissions.append((arrival, tuple(own)))
        if arrival.idempotency_key is not None:
            self._remember(arrival, arrival.idempotency_key, arrival.fingerprint, tuple(results))
        return Outcome(verdict="accepted", submission_id=arrival.submission_id, results=tuple(results))

    def _accept_replay(self, arrival: Arrival) -> Outcome:
        """Map again. What came a second time meanwhile, and was accepted then, is not taken twice."""
        if not arrival.replaced <= self._known.quarantined_ids:
            return Outcome(verdict="not_quarantined", submission_id=arrival.submission_id)
        results: list[Result] = []
        for numbered in arrival.records:
            earlier = self._earlier(arrival, numbered)
            if earlier is None or earlier.submission_id == arrival.submission_id:
                results.append(self._take(arrival, numbered, is_key_known=earlier is not None))
            else:
                fate = _Fate("ignored", "ignored", "duplicate")
                results.append(self._settle(arrival, numbered, fate))
        return Outcome(verdict="accepted", submission_id=arrival.submission_id, results=tuple(results))

    def _earlier(self, arrival: Arrival, numbered: Numbered) -> KnownDelivery | None:
        key = numbered.record.dedupe_key
        return self._deliveries.get((arrival.source_key, key)) if key is not None else None

    def _take(self, arrival: Arrival, numbered: Numbered, *, is_key_known: bool = False) -> Result:
        result = self._settle(arrival, numbered, self._fate_of(arrival, numbered))
        if numbered.record.dedupe_key is not None and not is_key_known:
            self._remember(arrival, numbered.record.dedupe_key, b"", (result,))
        return result

    def _names_unknown_lead(self, arrival: Arrival) -> bool:
        return any(
            isinstance(numbered.record, ActivityRecord)
            and numbered.record.lead_id is not None
            and numbered.record.lead_id not in self._known.lead_ids
            for numbered in arrival.records
        )

    def _remember(self, arrival: Arrival, key: str, fingerprint: bytes, results: tuple[Result, ...]) -> None:
        self._deliveries[arrival.source_key, key] = KnownDelivery(
            submission_id=arrival.submission_id, fingerprint=fingerprint, results=results
        )
        self._plan.deliveries.append(
            DeliveryRow(
                source_key=arrival.source_key,
                key=key,
                submission_id=arrival.submission_id,
                fingerprint=fingerprint,
                record_ids=tuple(result.record_id for result in results),
            )
        )

    def _settle(self, arrival: Arrival, numbered: Numbered, fate: _Fate) -> Result:
        plan = self._plan
        plan.records.append(
            RecordRow(
                record_id=numbered.record_id,
                submission_id=arrival.submission_id,
                ordinal=numbered.ordinal,
                source_key=arrival.source_key,
                nature=fate.nature,
                state=fate.state,
                reason=fate.reason,
                lead_id=fate.lead_id,
                received_at=arrival.received_at,
            )
        )
        plan.deltas[fate.state] += 1
        plan.deltas["quarantined" if numbered.record_id in arrival.replaced else "accepted"] += (
            -1 if numbered.record_id in arrival.replaced else 1
        )
        plan.counts[arrival.source_kind, fate.nature] += 1
        if fate.event is not None:
            plan.events.append((fate.event, arrival.traceparent))
        return Result(record_id=numbered.record_id, nature=fate.nature, lead_id=fate.lead_id)

    def _fate_of(self, arrival: Arrival, numbered: Numbered) -> _Fate:
        record = numbered.record
        match record:
            case LeadRecord():
                return self._fate_of_lead(arrival, numbered, record)
            case ActivityRecord():
                return self._fate_of_activity(arrival, numbered, record)
            case ConsentRecord():
                return self._fate_of_consent(arrival, numbered, record)
            case IgnoredRecord():
                return _Fate("ignored", "ignored", record.reason)
            case UnmappableRecord():
                return _Fate("quarantined", "quarantined", record.reason)
            case _:
                assert_never(record)

    def _fate_of_lead(self, arrival: Arrival, numbered: Numbered, record: LeadRecord) -> _Fate:
        person = self._identify(numbered)
        if person is None:
            reason = (
                "contact_not_known" if numbered.external else "contact_unusable" if record.lead.email else "no_contact"
            )
            return _Fate("quarantined", "quarantined", reason)
        return _captured(arrival, numbered, person, record.lead, record.touch, record.consent, record.activities)

    def _fate_of_activity(self, arrival: Arrival, numbered: Numbered, record: ActivityRecord) -> _Fate:
        person = (record.lead_id, False) if record.lead_id is not None else self._identify(numbered)
        if person is None:
            if numbered.external:  # the CRM speaks of somebody who never came through here
                return _Fate("ignored", "ignored", "person_unknown")
            return _Fate("quarantined", "quarantined", "contact_unusable" if record.lead.email else "no_contact")
        if person[1]:
            return _captured(arrival, numbered, person, record.lead, record.touch, _noes_of(record), (record.kind,))
        return _recorded(arrival, numbered, person[0], record.kind, record.occurred_at, record.detail, record.touch)

    def _fate_of_consent(self, arrival: Arrival, numbered: Numbered, record: ConsentRecord) -> _Fate:
        person = self._identify(numbered)
        if person is None:  # a withdrawal that nobody can be found for must be seen by a person
            return _Fate("quarantined", "quarantined", "person_unknown")
        if person[1]:
            return _captured(arrival, numbered, person, record.lead, Touch(), (record.signal,), ("unsubscribe",))
        signal = record.signal
        detail = {
            "state": signal.state,
            "method": signal.method,
            "purposes": " ".join(signal.purposes),
            "channels": " ".join(signal.channels),
        }
        return _recorded(arrival, numbered, person[0], "unsubscribe", record.signal.at, detail, Touch())

    def _identify(self, numbered: Numbered) -> tuple[str, bool] | None:
        """Return (lead_id, is new), or None for somebody who cannot be told apart.

        The e-mail decides. The sender's own id comes next. A phone is shared (switchboards, families), so it only
        speaks for a lead as long as no e-mail does.
        """
        email = self._find(("email", numbered.email))
        external = self._find(("external", numbered.external))
        phone = self._find(("phone", numbered.phone))
        if email is not None:
            lead_id, is_new, has_email = email.lead_id, False, True
        elif external is not None:
            lead_id, is_new, has_email = external.lead_id, False, external.has_email or numbered.email is not None
        elif phone is not None and (numbered.email is None or not phone.has_email):
            lead_id, is_new, has_email = phone.lead_id, False, phone.has_email or numbered.email is not None
        elif numbered.email is not None or numbered.phone is not None:
            lead_id, is_new, has_email = numbered.fresh_lead_id, True, numbered.email is not None
        else:
            return None
        if numbered.email is not None and email is None and not is_new:
            self._claim(lead_id)
        if email is None:
            self._add(("email", numbered.email), lead_id, has_email=True)
        if external is None:
            self._add(("external", numbered.external), lead_id, has_email=has_email)
        if phone is None:
            self._add(("phone", numbered.phone), lead_id, has_email=has_email)
        return lead_id, is_new

    def _find(self, key: tuple[IdentityKind, str | None]) -> KnownIdentity | None:
        kind, value = key
        if value is None:
            return None
        return self._identities.get((kind, value))

    def _add(self, key: tuple[IdentityKind, str | None], lead_id: str, *, has_email: bool) -> None:
        kind, value = key
        if value is not None:
            identity = KnownIdentity(lead_id=lead_id, has_email=has_email)
            self._identities[kind, value] = identity
            self._plan.identities[kind, value] = identity

    def _claim(self, lead_id: str) -> None:
        """Note that the lead has an e-mail from now on at its other keys, those known and those of this batch."""
        for key, identity in list(self._identities.items()):
            if identity.lead_id == lead_id and not identity.has_email:
                self._identities[key] = KnownIdentity(lead_id=lead_id, has_email=True)
                if key in self._plan.identities:
                    self._plan.identities[key] = self._identities[key]
                else:
                    self._plan.claimed_lead_ids.add(lead_id)


def _origin(arrival: Arrival, numbered: Numbered, touch: Touch, *, is_new_lead: bool) -> Origin:
    return Origin(
        submission_id=arrival.submission_id,
        record_id=numbered.record_id,
        source_key=arrival.source_key,
        source_kind=arrival.source_kind,
        received_at=arrival.received_at,
        is_new_lead=is_new_lead,
        touch=touch,
    )


def _noes_of(record: ActivityRecord) -> tuple[ConsentSignal, ...]:
    """Return the "no" in an activity of somebody new: consent must hear it with the lead, before any decision."""
    if record.kind not in {"unsubscribe", "complaint"}:
        return ()
    is_complaint = record.kind == "complaint"
    return (
        ConsentSignal(
            state="objected" if is_complaint else "withdrawn",
            purposes=() if is_complaint else ("marketing", "sales_contact"),
            channels=("email",),
            at=record.occurred_at,
            method=record.kind,
        ),
    )


def _delivery_keys(arrival: Arrival, numbered: Numbered) -> tuple[DeliveryKey, ...]:
    keys = []
    if arrival.idempotency_key is not None:
        keys.append(DeliveryKey(key=arrival.idempotency_key, fingerprint=arrival.fingerprint.hex()))
    if numbered.record.dedupe_key is not None:
        keys.append(DeliveryKey(key=numbered.record.dedupe_key))
    return tuple(keys)


def _captured(
    arrival: Arrival,
    numbered: Numbered,
    person: tuple[str, bool],
    lead: Lead,
    touch: Touch,
    consent: tuple[ConsentSignal, ...],
    activities: tuple[ActivityKind, ...],
) -> _Fate:
    lead_id, is_new = person
    event = LeadCaptured(
        lead_id=lead_id,
        origin=_origin(arrival, numbered, touch, is_new_lead=is_new),
        lead=lead,
        consent=consent,
        activities=activities,
        has_gpc=arrival.has_gpc,
        delivery_keys=_delivery_keys(arrival, numbered),
    )
    return _Fate("lead", "in_flight", None, lead_id, event)


def _recorded(
    arrival: Arrival,
    numbered: Numbered,
    lead_id: str,
    kind: ActivityKind,
    occurred_at: datetime,
    detail: dict[str, str],
    touch: Touch,
) -> _Fate:
    event = ActivityRecorded(
        lead_id=lead_id,
        activity_id=numbered.record_id,
        kind=kind,
        occurred_at=occurred_at,
        origin=_origin(arrival, numbered, touch, is_new_lead=False),
        detail=detail,
        delivery_keys=_delivery_keys(arrival, numbered),
    )
    return _Fate("activity", "activity", None, lead_id, event)
