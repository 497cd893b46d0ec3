"""Models and leads by chance: every part of a document at any value it may have, every input known or not."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, get_args

from hypothesis import strategies as st

from scoring.domain.activity import Activity
from scoring.domain.model import ScoringModel
from scoring.model_document import compile_model, default_model_text
from scoring.model_schema import ModelDocument
from shared.contracts import ActivityKind, Department, EmailKind, Facts, Lead, Seniority
from shared.documents import load_yaml

DEFAULT: Final = load_yaml(default_model_text())
NOW: Final = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

KINDS: tuple[ActivityKind, ...] = (
    "website_visit", "content_download", "email_open", "email_click", "email_reply", "webinar_registration",
    "webinar_attendance", "demo_request", "trial_usage", "meeting", "unsubscribe", "won",
    "pricing_page_view", "seats_added",
)  # fmt: skip

OWN_RULES: list[dict[str, Any]] = [
    {"field": "lead.country", "is_in": ["DE", "AT", "CH"]},
    {"field": "lead.website", "is_set": True},
    {"field": "facts.company_domain", "is_set": False},
    {"all": [{"field": "lead.employees", "at_least": 20}, {"field": "lead.country", "is_in": ["us", "CA"]}]},
    {"any": [{"field": "facts.department", "is_in": ["sales", "it"]}, {"field": "lead.title", "has_words": ["boss"]}]},
    {
        "none": [
            {"field": "facts.email_kind", "is_in": ["free", "disposable"]},
            {"field": "lead.employees", "at_most": 3},
        ]
    },
    {"field": "lead.custom.budget", "is_in": ["high"]},
    {
        "all": [
            {"none": [{"field": "facts.is_competitor", "is_true": True}]},
            {"field": "lead.industry", "is_set": True},
        ]
    },
]


# One draw: a document has two hundred numbers, and a failure would be shrunk for minutes.
chances = st.randoms(use_true_random=True)


@st.composite
def models(draw: st.DrawFn) -> ScoringModel:
    """Return a model of the shipped groups and more, with every number by chance, whether it would be accepted or not:
    what holds for a score holds for any."""
    chance = draw(chances)
    document = deepcopy(DEFAULT)
    document["fit"]["own"] = {
        "rules": [{"id": f"own_{index}", "when": when} for index, when in enumerate(OWN_RULES)],
    }
    seats = {"id": "seats", "activity": "trial_usage", "where": {"seats": ["10", "50"]}}
    document["engagement"]["own_use"] = {"signals": [seats]}
    document["account"] = {"signals": [{"id": "team_visit", "activity": "website_visit"}, dict(seats)]}
    for group in document["fit"].values():
        group["choose"] = chance.choice(["best", "sum"])
        group["cap"] = _points(chance, 5, 40)
        for rule in group["rules"]:
            rule["points"] = _points(chance, 0, 20)
    for group in (*document["engagement"].values(), document["account"]):
        group["cap"] = _points(chance, 5, 60)
        for signal in group["signals"]:
            signal["points"] = _points(chance, 0, 30)
            signal["half_life_days"] = chance.choice([0.01, 1, 14, 400]) * chance.uniform(0.5, 2)
            signal.pop("at_most", None)
            signal.pop("look_back_days", None)
            if chance.random() < 0.5:
                signal["at_most"] = {"times": chance.randint(1, 6), "days": chance.randint(1, 30)}
            if chance.random() < 0.3:
                signal["look_back_days"] = chance.uniform(0.5, 60)
    for group in document["negative"].values():
        group["floor"] = _points(chance, -60, -5)
        for part in (*group.get("rules", ()), *group.get("signals", ())):
            part["points"] = _points(chance, -30, 0)
    document["grades"] = dict(zip("ABC", sorted((_points(chance, 1, 60) for _ in "ABC"), reverse=True), strict=True))
    threshold = _points(chance, 1, 100)
    document["mql"] = {
        "threshold": threshold,
        "hysteresis": _points(chance, 0, threshold - 0.5),
        "grades": list("ABCD"[: chance.randint(1, 4)]),
    }
    return compile_model(ModelDocument.model_validate(document))


def _points(chance: Random, least: float, most: float) -> float:
    """Return points with up to two decimals."""
    return round(chance.uniform(least, most), 2)


leads = st.builds(
    Lead,
    title=st.sampled_from([None, "Owner", "Clerk", "boss of all"]),
    employees=st.none() | st.integers(0, 3_000),
    industry=st.sampled_from([None, "Software", "Banking", "Retail", "Education"]),
    country=st.sampled_from([None, "DE", "US", "FR"]),
    website=st.sampled_from([None, "https://acme.example"]),
    custom=st.sampled_from([{}, {"budget": "high"}, {"budget": "low"}]),
)
facts_of_leads = st.builds(
    Facts,
    email_kind=st.sampled_from(get_args(EmailKind)),
    seniority=st.sampled_from(get_args(Seniority)),
    department=st.sampled_from(get_args(Department)),
    company_domain=st.sampled_from([None, "acme.example"]),
    is_competitor=st.booleans(),
)


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    """Return something the lead did in the last 90 days, or will say it did tomorrow."""
    known_at = NOW - timedelta(seconds=draw(st.integers(0, 60 * 86_400)))
    return Activity(
        activity_id=str(draw(st.integers(0, 1_000_000))),
        kind=draw(st.sampled_from(KINDS)),
        occurred_at=known_at - timedelta(seconds=draw(st.integers(-86_400, 30 * 86_400))),
        known_at=known_at,
        detail=draw(st.sampled_from([{}, {"seats": "50"}, {"seats": "1"}])),
        is_colleagues=draw(st.integers(0, 4)) == 0,
    )


histories = st.lists(activities(), max_size=15)
