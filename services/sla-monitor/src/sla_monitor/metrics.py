"""The closed list of this service's metrics. Policies and stages are configuration: few, and never a lead."""

from prometheus_client import Counter, Gauge, Histogram

CLOCKS_OPEN = Gauge(
    "leadrail_sla_clocks", "Clocks for which something still has to happen, by state.", ["stage", "state"]
)
CLOCK_CHANGES = Counter(
    "leadrail_sla_clock_changes_total",
    "State changes of clocks: met and breached among them.",
    ["stage", "policy", "state"],
)
ACTIONS = Counter("leadrail_sla_actions_total", "What policies asked for: notify, reassign.", ["stage", "action"])
TIME_LEFT = Histogram(
    "leadrail_sla_time_left_ratio",
    "Part of the time from start to deadline that was left when a clock was met (1 = at once).",
    ["stage"],
    buckets=(0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
)
TIMERS_WAITED = Counter(
    "leadrail_sla_timers_waited_total", "Timers that fired late and first let the consumers catch up."
)
