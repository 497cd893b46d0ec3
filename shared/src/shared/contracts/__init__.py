"""Event contracts: the only thing services know of each other."""

from shared.contracts.event import Event, encode_event
from shared.contracts.events import (
    EVENT_BY_TYPE,
    EVENTS,
    ActivityKind,
    ActivityRecorded,
    ConsentChanged,
    LeadAssigned,
    LeadCaptured,
    LeadCleared,
    LeadEnriched,
    LeadNurtured,
    LeadParked,
    LeadQualified,
    LeadReassigned,
    LeadReleased,
    LeadRetained,
    LeadScored,
    LeadUnassigned,
    LeadWithheld,
    SlaClockChanged,
)
from shared.contracts.lead import (
    ConsentSignal,
    ConsentVerdict,
    DeliveryKey,
    Department,
    EmailKind,
    Facts,
    Lead,
    Origin,
    Owner,
    Score,
    Seniority,
    Touch,
)
from shared.contracts.topics import TOPIC_BY_NAME, TOPICS, Topic

__all__ = [
    "EVENTS", "EVENT_BY_TYPE", "TOPICS", "TOPIC_BY_NAME", "ActivityKind", "ActivityRecorded", "ConsentChanged",
    "ConsentSignal", "ConsentVerdict", "DeliveryKey", "Department", "EmailKind", "Event", "Facts", "Lead",
    "LeadAssigned", "LeadCaptured", "LeadCleared", "LeadEnriched", "LeadNurtured", "LeadParked", "LeadQualified",
    "LeadReassigned", "LeadReleased", "LeadRetained", "LeadScored", "LeadUnassigned", "LeadWithheld", "Origin", "Owner",
    "Score", "Seniority", "SlaClockChanged", "Topic", "Touch", "encode_event",
]  # fmt: skip
