"""The metrics of scoring, beside the runtime's: a closed list, no lead in any label."""

from math import nan

from prometheus_client import Counter, Gauge, Histogram

SCORES_DECIDED = Counter(
    "leadrail_scores_decided_total",
    "Scores decided, by what caused them and the grade they gave.",
    ["trigger", "grade"],
)
SCORE_POINTS = Histogram(
    "leadrail_score_points",
    "Points of the scores that submissions got.",
    buckets=(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100),
)
MQL_CHANGES = Counter(
    "leadrail_mql_changes_total",
    "Leads that crossed the MQL threshold (entered, left), by cause.",
    ["direction", "trigger"],
)
ACTIVITIES = Counter(
    "leadrail_scoring_activities_total",
    "Activities by what became of them: scored, kept (the model does not count them), early (lead not known yet),"
    " duplicate.",
    ["outcome"],
)
OUTCOMES = Counter(
    "leadrail_scoring_outcomes_total",
    "What the CRM reported of leads: accepted, rejected, opportunity, won, lost.",
    ["kind"],
)
AUC = Gauge("leadrail_scoring_auc", "AUC of the live version in its latest backtest; NaN: it has none.")
BRIER = Gauge("leadrail_scoring_brier", "Brier score of the live version in its latest backtest; NaN: not measured.")
ECE = Gauge(
    "leadrail_scoring_ece", "Expected calibration error of the live version in its latest backtest; NaN: not measured."
)
PSI = Gauge(
    "leadrail_scoring_psi",
    "Population stability index between the halves of the latest backtest's period, by what is looked at.",
    ["input"],
)
BACKTEST_AGE = Gauge(
    "leadrail_scoring_backtest_age_seconds", "Time since the latest finished backtest of the live version was started."
)
# A gauge starts at 0, which would be a result.
for gauge in (AUC, BRIER, ECE, BACKTEST_AGE):
    gauge.set(nan)
