"""The closed list of this service's own metrics. Labels are outcomes and reasons, never a lead, rep or address."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("leadrail_routing_decisions_total", "Routing decisions by outcome.", ["outcome", "via"])
FALLBACK = Counter("leadrail_routing_fallback_total", "Leads put into the fallback queue, by reason.", ["reason"])
FALLBACK_DEPTH = Gauge("leadrail_routing_fallback_queue_leads", "Leads in the fallback queue.")
CALLBACKS_QUEUED = Counter("leadrail_callbacks_queued_total", "Callbacks written, by event type.", ["event_type"])
CALLBACK_ATTEMPTS = Counter("leadrail_callback_attempts_total", "Callback attempts by outcome.", ["outcome"])
CALLBACK_SECONDS = Histogram(
    "leadrail_callback_attempt_seconds",
    "Duration of one callback attempt.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
)
CALLBACK_LATENESS = Histogram(
    "leadrail_callback_lateness_seconds",
    "How long after it was due an attempt started.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3600),
)
CALLBACKS_PENDING = Gauge("leadrail_callbacks_pending", "Callbacks not delivered yet and not given up.")
CALLBACKS_OLDEST = Gauge("leadrail_callbacks_oldest_pending_seconds", "Age of the oldest pending callback.")
ENDPOINTS = Gauge("leadrail_callback_endpoints", "Endpoints by state.", ["state"])
