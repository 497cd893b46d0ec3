"""Ingest's own metrics. Labels are source kinds, outcomes, states: never a source's key, a lead, or free text."""

from prometheus_client import Counter, Gauge, Histogram

SUBMISSIONS = Counter(
    "leadrail_ingest_requests_total", "Requests at the door by source kind and outcome.", ["source_kind", "outcome"]
)
REJECTS = Counter("leadrail_ingest_rejects_total", "Requests refused, by reason.", ["reason"])
RECORDS = Counter(
    "leadrail_ingest_records_total", "Records taken in by source kind and nature.", ["source_kind", "nature"]
)
QUARANTINED = Counter("leadrail_ingest_quarantined_total", "Records put into quarantine.", ["source_kind"])
COMMIT_SIZE = Histogram(
    "leadrail_ingest_commit_submissions",
    "Submissions that shared one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
COMMIT_SECONDS = Histogram(
    "leadrail_ingest_commit_seconds",
    "Time of one grouped commit.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
COMMIT_RACES = Counter(
    "leadrail_ingest_commit_races_total", "Commits decided again because another process took a key first."
)
LEDGER_RECORDS = Gauge("leadrail_ledger_records", "Records by ledger state.", ["state"])
LEDGER_IMBALANCE = Gauge(
    "leadrail_ledger_imbalance", "Accepted records minus the sum of all states; anything but 0 is a lost record."
)
LEDGER_OLDEST = Gauge("leadrail_ledger_in_flight_oldest_seconds", "Age of the oldest record in flight.")
