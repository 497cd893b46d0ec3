"""The runtime's own metrics, the same list in every service. Labels are groups, topics, states: never a lead."""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 14400,
    86400,
)  # fmt: skip

SPEED_TO_LEAD = Histogram(
    "leadrail_speed_to_lead_seconds",
    "Time from receipt of the submission to a stage.",
    ["stage"],
    buckets=LATENCY_BUCKETS,
)
EVENTS_PROCESSED = Counter("leadrail_events_processed_total", "Events handled for the first time.", ["consumer"])
EVENTS_REDELIVERED = Counter(
    "leadrail_events_redelivered_total", "Events seen before: dropped, their effects published again.", ["consumer"]
)
BATCH_SIZE = Histogram(
    "leadrail_consumer_batch_events",
    "Events per transaction.",
    ["consumer"],
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
BATCH_SECONDS = Histogram(
    "leadrail_consumer_batch_seconds",
    "Time from poll to published, per batch.",
    ["consumer"],
    buckets=LATENCY_BUCKETS[:16],
)
LAG_EVENTS = Gauge("leadrail_consumer_lag_events", "Events behind the end of the topic.", ["consumer"])
LAG_SECONDS = Gauge("leadrail_consumer_lag_seconds", "Age of the oldest event not handled yet.", ["consumer"])
CONSUMER_PAUSED = Gauge(
    "leadrail_consumer_paused", "1 while a consumer waits for a dependency or a storm of failures.", ["consumer"]
)
PARKED_KEYS = Gauge("leadrail_parked_keys", "Leads whose events wait for a person.", ["consumer"])
PARKED = Counter("leadrail_parked_events_total", "Events put into the parking table.", ["consumer"])
DEAD_LETTERS = Counter("leadrail_dead_letters_total", "Records that could not be decoded.", ["consumer"])
EVENTS_LOST = Counter(
    "leadrail_events_lost_total", "Records that Kafka deleted before the consumer had handled them.", ["consumer"]
)
OUTBOX_DEPTH = Gauge("leadrail_outbox_depth", "Committed events not yet published.")
OUTBOX_OLDEST = Gauge("leadrail_outbox_oldest_age_seconds", "Age of the oldest committed event not yet published.")
OUTBOX_BYTES = Gauge("leadrail_outbox_bytes", "Size of the outbox's table on disk; it shrinks late.")
OUTBOX_RELAYED = Counter("leadrail_outbox_relayed_total", "Events of a dead process published by another one.")
TIMER_LATENESS = Histogram(
    "leadrail_timer_lateness_seconds", "How late timers fire.", ["kind"], buckets=LATENCY_BUCKETS[:16]
)
TIMERS_FAILED = Counter("leadrail_timer_failures_total", "Timer handlers that raised.", ["kind"])
HTTP_REQUESTS = Counter("leadrail_http_requests_total", "HTTP requests by route and status.", ["route", "status"])
HTTP_SHED = Counter(
    "leadrail_http_shed_total", "Requests answered with 503 because too much was in hand, by the limit.", ["reason"]
)
