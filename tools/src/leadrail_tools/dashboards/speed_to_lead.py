"""The dashboard an operator opens first: how fast leads become conversations, and what holds them up."""

import json
from typing import Any

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from leadrail_tools.dashboards.panels import Line, lines, number, per_second, quantile

SPEED = "leadrail_speed_to_lead_seconds"
IMBALANCE = "sum(abs(leadrail_ledger_imbalance))"
_ECE = "leadrail_scoring_ece"
REQUESTS = "sum by (job, status) (rate(leadrail_http_requests_total[$__rate_interval]))"


def speed_to_lead_dashboard() -> str:
    """Return the dashboard as JSON text."""
    board = Dashboard("Leadrail: speed to lead").uid("leadrail-speed-to-lead").tags(["leadrail"])
    board = board.description("From the receipt of a submission to the first sales touch, and what is in the way.")
    board = board.time("now-1h", "now").refresh("10s").timezone("utc").readonly()
    for panel in (*_numbers(), *_stages()):
        board = board.with_panel(panel)
    board = board.with_row(Row("Delivery"))
    for panel in _delivery():
        board = board.with_panel(panel)
    board = board.with_row(Row("Outcomes"))
    for panel in _outcomes():
        board = board.with_panel(panel)
    board = board.with_row(Row("Scoring health"))
    for health in (*_health_numbers(), *_health()):
        board = board.with_panel(health)
    data = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    return json.dumps(_numbered(data), indent=2, sort_keys=True) + "\n"


def _numbered(board: dict[str, Any]) -> dict[str, Any]:
    """Give each panel the id that links and alerts use; the builder leaves them out."""
    for position, panel in enumerate(board["panels"], start=1):
        panel["id"] = position
    return board


def _numbers() -> list[stat.Panel]:
    recent = f"histogram_quantile(%s, sum by (le) (rate({SPEED}_bucket{{stage='%s'}}[$__rate_interval])))"
    return [
        number("Assigned, p50", "Half of the leads have an owner after", "s", recent % (0.5, "assigned"), red_from=1),
        number("Assigned, p99", "Slowest percent", "s", recent % (0.99, "assigned"), red_from=30),
        number("In the CRM, p50", "Acknowledged by the CRM", "s", recent % (0.5, "acknowledged"), red_from=10),
        number("First touch, p50", "Target: under an hour", "s", recent % (0.5, "first_touch"), red_from=3600),
        number("Parked leads", "Each waits for a person", "short", "sum(leadrail_parked_keys)", red_from=1),
        number("Ledger imbalance", "Anything but 0 is a lost lead", "short", IMBALANCE, red_from=1),
    ]


def _stages() -> list[timeseries.Panel]:
    median = Line(quantile(SPEED, 0.5, "stage"), "{{stage}}")
    slowest = Line(quantile(SPEED, 0.99, "stage"), "{{stage}}")
    return [
        lines("Speed to lead, p50", "Time from receipt to each stage.", "s", median),
        lines("Speed to lead, p99", "The leads that wait longest.", "s", slowest),
    ]


def _delivery() -> list[timeseries.Panel]:
    age = Line("max by (job) (leadrail_outbox_oldest_age_seconds)", "{{job}}")
    late = Line(quantile("leadrail_timer_lateness_seconds", 0.99, "kind"), "{{kind}}")
    handled = Line(per_second("leadrail_events_processed_total", "consumer"), "{{consumer}}")
    again = Line(per_second("leadrail_events_redelivered_total", "consumer"), "{{consumer}} again")
    behind = Line("max by (consumer) (leadrail_consumer_lag_seconds)", "{{consumer}}")
    poison = Line(per_second("leadrail_dead_letters_total", "consumer"), "{{consumer}} dead letters")
    parked = Line(per_second("leadrail_parked_events_total", "consumer"), "{{consumer}} parked")
    return [
        lines("Consumer lag", "Age of the oldest event not handled yet.", "s", behind),
        lines("Events per second", "Handled for the first time, and seen again.", "cps", handled, again),
        lines("Oldest unpublished event", "Grows while Kafka is away; nothing is lost.", "s", age),
        lines("Timer lateness, p99", "Tens of milliseconds are normal.", "s", late),
        lines("Set aside", "Undecodable records, and events of parked leads.", "cps", poison, parked),
        lines("HTTP requests", "By service and status.", "reqps", Line(REQUESTS, "{{job}} {{status}}")),
    ]


def _outcomes() -> list[timeseries.Panel]:
    states = Line("sum by (state) (leadrail_ledger_records)", "{{state}}")
    attempts = Line(per_second("leadrail_callback_attempts_total", "outcome"), "{{outcome}}")
    clocks = Line("sum by (state) (leadrail_sla_clocks)", "{{state}}")
    scores = Line(per_second("leadrail_scores_decided_total", "grade"), "grade {{grade}}")
    return [
        lines("Where the accepted records are", "Their sum is what was accepted.", "short", states),
        lines("CRM callbacks", "Attempts by outcome.", "cps", attempts),
        lines("SLA clocks", "Running deadlines by state.", "short", clocks),
        lines("Scores", "By grade.", "cps", scores),
    ]


def _health_numbers() -> list[stat.Panel]:
    """Of the live version's latest backtest; no data until there is one."""
    age = "min(leadrail_scoring_backtest_age_seconds)"
    drift = "max(leadrail_scoring_psi)"
    return [
        number("Calibration error", "Mean distance of chance and rate", "percentunit", f"max({_ECE})", red_from=0.1),
        number("Strongest drift", "PSI; from 0.25 on other leads come", "short", drift, red_from=0.25),
        number("Last backtest", "Weekly by default", "s", age, red_from=15 * 86_400),
    ]


def _health() -> list[timeseries.Panel]:
    ranking = Line("max(leadrail_scoring_auc)", "AUC (0.5 = chance)")
    errors = Line("max(leadrail_scoring_brier)", "Brier"), Line(f"max({_ECE})", "calibration error")
    drift = Line("max by (input) (leadrail_scoring_psi)", "{{input}}")
    reported = Line("sum by (kind) (increase(leadrail_scoring_outcomes_total[1d]))", "{{kind}}")
    return [
        lines("How well scores rank", "Chance that a lead that converts has the higher score.", "short", ranking),
        lines("How far off scores are", "Of the live version's latest backtest; lower is better.", "short", *errors),
        lines("Drift by input", "PSI between the halves of the backtest's period.", "short", drift),
        lines("Outcomes a day", "What the CRM reports; none means that nothing can be tested.", "short", reported),
    ]
