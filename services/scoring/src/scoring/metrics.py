"""The metrics of scoring, beside the runtime's: a closed list, no lead in any label."""

from prometheus_client import Counter, Histogram

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
