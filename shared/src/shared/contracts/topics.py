"""The topic registry: which topics exist, how they are keyed and kept, who writes and who reads them."""

from datetime import timedelta

import msgspec

from shared.contracts import events as e
from shared.contracts.event import Event


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka topic. All pipeline topics have the same partition count, so a lead keeps its partition number from
    hop to hop and a batch's outputs go to the partition its inputs came from."""

    name: str
    events: tuple[type[Event], ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    description: str
    key: str = "lead_id"
    partitions: int = 6
    retention: timedelta = timedelta(days=7)


TOPICS: tuple[Topic, ...] = (
    Topic(
        name="leads.captured",
        events=(e.LeadCaptured,),
        producers=("ingest",),
        consumers=("ingest-enrich", "sla-monitor"),
        description="A submission record was mapped to a lead.",
    ),
    Topic(
        name="leads.enriched",
        events=(e.LeadEnriched,),
        producers=("ingest-enrich",),
        consumers=("scoring",),
        description="The lead, merged and normalised.",
    ),
    Topic(
        name="leads.scored",
        events=(e.LeadScored, e.LeadQualified),
        producers=("scoring",),
        consumers=("consent",),
        description="Score, grade and MQL state of a lead.",
    ),
    Topic(
        name="leads.consented",
        events=(e.LeadCleared, e.LeadWithheld),
        producers=("consent",),
        consumers=("routing", "ingest-ledger", "sla-monitor"),
        description="May sales contact the lead, and why.",
    ),
    Topic(
        name="leads.routed",
        events=(e.LeadAssigned, e.LeadReassigned, e.LeadRetained, e.LeadUnassigned, e.LeadNurtured),
        producers=("routing",),
        consumers=("sla-monitor", "ingest-ledger"),
        description="Who has the lead, or why nobody has.",
    ),
    Topic(
        name="leads.activity",
        events=(e.ActivityRecorded,),
        producers=("ingest",),
        consumers=("scoring", "consent", "sla-monitor"),
        description="What a known lead did, and what the CRM reports of it.",
    ),
    Topic(
        name="leads.sla",
        events=(e.SlaClockChanged,),
        producers=("sla-monitor",),
        consumers=("routing",),
        description="Running deadlines: started, at risk, met, breached, escalated, cancelled.",
    ),
    Topic(
        name="consent.changed",
        events=(e.ConsentChanged,),
        producers=("consent",),
        consumers=("routing",),
        description="Consent was given, withdrawn, objected to or expired.",
    ),
    Topic(
        name="leads.parking",
        events=(e.LeadParked, e.LeadReleased),
        producers=("ingest-enrich", "ingest-ledger", "scoring", "consent", "routing", "sla-monitor"),
        consumers=("ingest-ledger",),
        description="A lead's events wait for a person, or no longer do.",
    ),
)
TOPIC_BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
