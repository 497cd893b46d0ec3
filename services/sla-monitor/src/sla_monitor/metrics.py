"""The closed list of this service's metrics. Policies and stages are configuration: few, and never a lead."""

from collections import Counter as Tally
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from shared.contracts import SlaClockChanged
from shared.runtime.metrics import SPEED_TO_LEAD
from sla_monitor.domain.clocks import Clock

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
_FIRST_TOUCH = SPEED_TO_LEAD.labels("first_touch")


def count_changes(events: Sequence[SlaClockChanged]) -> None:
    """Count a batch's announcements, each combination of labels once."""
    for labels, number in Tally([(event.stage, event.policy_id, event.state) for event in events]).items():
        CLOCK_CHANGES.labels(*labels).inc(number)
    for stage, action in [(event.stage, event.action) for event in events if event.action != "none"]:
        ACTIONS.labels(stage, action).inc()


def measure_met(clock: Clock, now: datetime) -> None:
    """Observe how fast *clock* was met; nothing if it was not."""
    stop, deadline = clock.stop, clock.deadline
    if stop is None or not stop.is_met:
        return
    if clock.stage == "first_touch":
        _FIRST_TOUCH.observe(max(0.0, (stop.at - clock.received_at).total_seconds()))
    left = (deadline.due_at - min(stop.at, now)).total_seconds()
    TIME_LEFT.labels(clock.stage).observe(left / (deadline.due_at - deadline.started_at).total_seconds())
