"""The metrics of consent, beside the runtime's: a closed list, no lead in any label."""

from prometheus_client import Counter, Gauge

DECISIONS = Counter(
    "leadrail_consent_decisions_total",
    "Decisions about leads, by answer, reason and jurisdiction.",
    ["outcome", "reason", "jurisdiction"],
)
EVENTS = Counter("leadrail_consent_events_total", "Statements added to the ledger, by state.", ["state"])
QUESTIONS = Counter("leadrail_consent_questions_total", "Questions answered over HTTP, by answer.", ["outcome"])
SUPPRESSED = Gauge("leadrail_consent_suppressed_addresses", "Addresses on the suppression list when last changed.")
