"""Every event of the pipeline. One class per type; the topic registry says who makes and who reads it."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.contracts.event import Event
from shared.contracts.lead import ConsentSignal, ConsentVerdict, DeliveryKey, Facts, Lead, Origin, Owner, Score

ActivityKind = Literal[
    "website_visit", "content_download", "email_open", "email_click", "email_reply", "webinar_registration",
    "webinar_attendance", "demo_request", "trial_usage", "meeting", "unsubscribe", "hard_bounce", "complaint",
    "first_touch", "accepted", "rejected", "opportunity", "won", "lost", "trial_started", "seats_added",
    "key_feature_used", "pricing_page_view",
]  # fmt: skip
"""What a known lead did, what the CRM reports of it (first_touch .. lost), and what the product or the web site saw it
do (trial_started .. pricing_page_view)."""


class LeadCaptured(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Ingest mapped a submission record to a lead. ``lead`` holds this record's fields as the sender gave them.

    ``activities``: what the submission itself proves the lead did (a demo form is a ``demo_request``).
    ``has_gpc``: the request carried ``Sec-GPC: 1``.
    """

    type: ClassVar[str] = "leadrail.lead.captured.v1"
    topic: ClassVar[str] = "leads.captured"

    origin: Origin
    lead: Lead
    consent: tuple[ConsentSignal, ...] = ()
    activities: tuple[ActivityKind, ...] = ()
    has_gpc: bool = False
    delivery_keys: tuple[DeliveryKey, ...] = ()


class LeadEnriched(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The captured lead, merged with what was known of it, normalised, with facts derived."""

    type: ClassVar[str] = "leadrail.lead.enriched.v1"
    topic: ClassVar[str] = "leads.enriched"

    origin: Origin
    lead: Lead
    facts: Facts
    consent: tuple[ConsentSignal, ...] = ()
    activities: tuple[ActivityKind, ...] = ()
    has_gpc: bool = False


class LeadScored(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A score was computed because of a submission or an activity. For an activity, ``origin`` is the lead's latest."""

    type: ClassVar[str] = "leadrail.lead.scored.v1"
    topic: ClassVar[str] = "leads.scored"

    origin: Origin
    lead: Lead
    facts: Facts
    score: Score
    trigger: Literal["submission", "activity"]
    consent: tuple[ConsentSignal, ...] = ()
    has_gpc: bool = False


class LeadQualified(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The lead crossed the MQL threshold, upward (``is_mql``) or back down (with hysteresis)."""

    type: ClassVar[str] = "leadrail.lead.qualified.v1"
    topic: ClassVar[str] = "leads.scored"

    is_mql: bool
    score: Score


class LeadCleared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Consent allows sales contact on at least one channel."""

    type: ClassVar[str] = "leadrail.lead.cleared.v1"
    topic: ClassVar[str] = "leads.consented"

    origin: Origin
    lead: Lead
    facts: Facts
    score: Score
    verdict: ConsentVerdict
    trigger: Literal["submission", "activity"]


class LeadWithheld(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Consent allows no channel: the lead stops here, with the reason."""

    type: ClassVar[str] = "leadrail.lead.withheld.v1"
    topic: ClassVar[str] = "leads.consented"

    origin: Origin
    score: Score
    verdict: ConsentVerdict
    trigger: Literal["submission", "activity"]


class LeadAssigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The lead got an owner for the first time (or again after it had lost one). One per ``owner.assignment_id``."""

    type: ClassVar[str] = "leadrail.lead.assigned.v1"
    topic: ClassVar[str] = "leads.routed"

    origin: Origin
    lead: Lead
    facts: Facts
    score: Score
    verdict: ConsentVerdict
    owner: Owner


class LeadReassigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The lead moved from one owner to another (SLA breach, or a person asked for it)."""

    type: ClassVar[str] = "leadrail.lead.reassigned.v1"
    topic: ClassVar[str] = "leads.routed"

    origin: Origin
    lead: Lead
    facts: Facts
    score: Score
    verdict: ConsentVerdict
    owner: Owner
    previous_assignment_id: str
    previous_rep_id: str
    reason: str


class LeadRetained(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A lead that already has an owner came again and stays with that owner; ``owner`` is unchanged."""

    type: ClassVar[str] = "leadrail.lead.retained.v1"
    topic: ClassVar[str] = "leads.routed"

    origin: Origin
    score: Score
    owner: Owner


class LeadUnassigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody has the lead: it waits in the fallback queue, or consent for it was withdrawn after assignment."""

    type: ClassVar[str] = "leadrail.lead.unassigned.v1"
    topic: ClassVar[str] = "leads.routed"

    origin: Origin
    reason: Literal["fallback_queue", "consent_withdrawn"]
    rule_id: str | None = None
    previous_assignment_id: str | None = None


class LeadNurtured(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Contact is allowed but the score is below the threshold: marketing keeps the lead, sales does not get it."""

    type: ClassVar[str] = "leadrail.lead.nurtured.v1"
    topic: ClassVar[str] = "leads.routed"

    origin: Origin
    score: Score


class ActivityRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A known lead did something, or the CRM reported on it.

    ``detail``: reason codes, seats, page group; no free text.
    """

    type: ClassVar[str] = "leadrail.activity.recorded.v1"
    topic: ClassVar[str] = "leads.activity"

    activity_id: str
    kind: ActivityKind
    occurred_at: datetime
    origin: Origin
    detail: dict[str, str] = {}
    delivery_keys: tuple[DeliveryKey, ...] = ()


class SlaClockChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A running deadline of one lead changed state. ``action`` says what the policy wants done about it."""

    type: ClassVar[str] = "leadrail.sla.changed.v1"
    topic: ClassVar[str] = "leads.sla"

    clock_id: str
    policy_id: str
    policy_version: str
    stage: str
    state: Literal["started", "at_risk", "met", "breached", "escalated", "cancelled"]
    started_at: datetime
    due_at: datetime
    changed_at: datetime
    action: Literal["none", "notify", "reassign"] = "none"
    assignment_id: str | None = None
    rep_id: str | None = None


class ConsentChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Consent of a lead was given, refused, withdrawn, objected to, or expired. ``record_id`` is the ledger row."""

    type: ClassVar[str] = "leadrail.consent.changed.v1"
    topic: ClassVar[str] = "consent.changed"

    record_id: str
    state: Literal["given", "refused", "withdrawn", "objected", "expired"]
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    changed_at: datetime
    may_contact: bool
    method: str


class LeadParked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A consumer cannot process this lead's event: it and the lead's later ones wait for a person.

    ``record_ids``: the submission records whose events wait; None (from a release that did not say): all of the lead.
    """

    type: ClassVar[str] = "leadrail.lead.parked.v1"
    topic: ClassVar[str] = "leads.parking"

    consumer: str
    parked_event_id: str
    error: str
    record_ids: tuple[str, ...] | None = None


class LeadReleased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The lead's parked events were all retried or skipped.

    ``record_ids``: the submission records whose events were retried; None (from a release that did not say): all that
    waited. A record whose event was skipped is never named: nothing will move it any more.
    """

    type: ClassVar[str] = "leadrail.lead.released.v1"
    topic: ClassVar[str] = "leads.parking"

    consumer: str
    outcome: Literal["retried", "skipped"]
    record_ids: tuple[str, ...] | None = None


EVENTS: tuple[type[Event], ...] = (
    LeadCaptured, LeadEnriched, LeadScored, LeadQualified, LeadCleared, LeadWithheld, LeadAssigned, LeadReassigned,
    LeadRetained, LeadUnassigned, LeadNurtured, ActivityRecorded, SlaClockChanged, ConsentChanged, LeadParked,
    LeadReleased,
)  # fmt: skip
EVENT_BY_TYPE: dict[str, type[Event]] = {event.type: event for event in EVENTS}
