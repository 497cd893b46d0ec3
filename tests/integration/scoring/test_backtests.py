"""A version of the model held against what became of the leads, without a look at what was not known then."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.integration.scoring.lived_period import (
    DAYS,
    HORIZON,
    LEADS_A_DAY,
    VERSIONS,
    asking,
    backtest,
    started,
    store_draft,
    store_unreadable,
)

from scoring.jobs.kinds import JobRefused
from scoring.model_document import default_model_text
from shared.contracts import Event
from shared.ids import new_id
from shared.testing.builders import NOON, make_activity, make_enriched, make_facts, make_lead

# What it measures


async def test_a_backtest_measures_what_the_decided_scores_foresaw(lived: str) -> None:
    async with started(lived) as scoring:
        result = await backtest(scoring)
        decided = await scoring.fetch("SELECT lead_id, points FROM score_decision WHERE trigger = 'submission'")
        reached = {row["lead_id"] for row in await scoring.fetch("SELECT lead_id FROM outcome")}
    labels, points = [row["lead_id"] in reached for row in decided], [row["points"] for row in decided]
    leads, measured = result["leads"], result["measured"]
    assert (leads["judged"], leads["positives"], leads["censored"]) == (DAYS * LEADS_A_DAY, len(reached), 0)
    assert measured["auc"]["value"] == pytest.approx(roc_auc_score(labels, points), abs=1e-6)
    assert measured["pr_auc"]["value"] == pytest.approx(average_precision_score(labels, points), abs=1e-6)
    assert 0.6 < measured["auc"]["low"] < measured["auc"]["value"] < measured["auc"]["high"] < 0.95
    assert leads["base_rate"]["low"] < len(reached) / len(decided) < leads["base_rate"]["high"]


async def test_every_lead_is_in_one_decile_and_one_grade(lived: str) -> None:
    async with started(lived) as scoring:
        result = await backtest(scoring)
    leads, measured = result["leads"], result["measured"]
    for table in ("deciles", "grades"):
        assert sum(row["leads"] for row in measured[table]) == leads["judged"]
        assert sum(row["positives"] for row in measured[table]) == leads["positives"]
        assert all(row["low"] <= row["rate"] <= row["high"] for row in measured[table])
    deciles = measured["deciles"]
    assert [row["points_from"] for row in deciles] == sorted((row["points_from"] for row in deciles), reverse=True)
    assert all(row["points_from"] > later["points_to"] for row, later in pairwise(deciles))
    assert deciles[0]["rate"] > 2 * deciles[-1]["rate"]


async def test_a_probability_is_learned_on_earlier_leads_and_judged_on_later_ones(lived: str) -> None:
    async with started(lived) as scoring:
        result = await backtest(scoring)
    calibration = result["measured"]["calibration"]
    assert calibration["refused"] is None
    learned, judged = calibration["fitted_on"]["leads"], calibration["judged_on"]["leads"]
    assert learned + judged + HORIZON * LEADS_A_DAY == pytest.approx(DAYS * LEADS_A_DAY, abs=2 * LEADS_A_DAY)
    assert sum(row["leads"] for row in calibration["reliability"]) == judged
    assert calibration["brier"]["value"] < calibration["brier_of_base_rate"]
    assert calibration["ece"]["value"] < 0.1
    probabilities = [step["probability"] for step in calibration["mapping"]]
    assert probabilities == sorted(probabilities)
    assert any("isotonic" in sentence for sentence in result["method"])


async def test_drift_finds_the_new_source_and_nothing_else(lived: str) -> None:
    async with started(lived) as scoring:
        result = await backtest(scoring)
    drift = {row["input"]: row for row in result["drift"]}
    assert drift["source"]["psi"] > 0.25
    assert drift["source"]["moved_most"][0]["value"] in {"website", "partner"}
    assert {"points", "grade", "country", "size", "industry", "seniority", "signal.demo_request"} <= set(drift)
    assert [name for name, row in drift.items() if row["psi"] is not None and row["psi"] > 0.25] == ["source"]


async def test_a_version_is_compared_with_the_live_one_on_the_same_leads(copied: str) -> None:
    async with started(copied) as scoring:
        blind = await store_draft(scoring, "points: 22", "points: 0")  # takes a VP for nobody
        result = await backtest(scoring, version=blind)
        alone = await backtest(scoring, version=blind, compare_with_live=False)
        live = await backtest(scoring)
    comparison = result["comparison"]
    assert (result["measured"]["version"], result["live"]["version"]) == (blind, "1")
    assert comparison["ranks"] == "worse"
    difference = result["measured"]["auc"]["value"] - result["live"]["auc"]["value"]
    assert comparison["auc"]["value"] == pytest.approx(difference, abs=2e-6)
    assert comparison["auc"]["high"] < 0
    assert {"pr_auc", "brier", "ece"} <= set(comparison)
    assert result["live"]["auc"]["value"] == live["measured"]["auc"]["value"]
    assert (alone["live"], alone["comparison"], live["live"]) == (None, None, None)


# What it must not look at


async def test_what_becomes_known_later_changes_nothing(copied: str) -> None:
    async with started(copied) as scoring:
        before = await backtest(scoring)
        lead_ids = [row["lead_id"] for row in await scoring.fetch("SELECT lead_id::text FROM lead_score")]
        # Reported now, with the horizon over: what leads did and what became of them while it ran, and who they are.
        late = {"demo_request": NOON - timedelta(days=1), "opportunity": NOON + timedelta(days=DAYS, hours=-12)}
        for kind, at in late.items():
            await scoring.feed(*[make_activity(lead_id, kind=kind, occurred_at=at) for lead_id in lead_ids])
        await scoring.feed(*[make_enriched(each, facts=make_facts(is_competitor=True)) for each in lead_ids])
        scoring.clock.advance(days=100)
        assert await backtest(scoring) == before


async def test_what_colleagues_did_counts_if_it_was_known_when_the_lead_was_judged(create_database: Any) -> None:
    """Forty customers had a colleague who asked for a demo; forty strangers' colleagues asked for one the day after."""
    early, late = "acme.example", "brick.example"
    body = default_model_text() + "account: {cap: 9, signals: [{id: colleague, activity: demo_request, points: 9}]}\n"
    customers, strangers = [new_id() for _ in range(40)], [new_id() for _ in range(40)]
    async with started(create_database(), NOON) as scoring:
        assert (await scoring.http.post(VERSIONS, json={"body": body, "why": "a test"})).status_code == 201
        await scoring.feed(colleague(early))
        scoring.clock.advance(days=1)
        since = scoring.clock.now()
        await scoring.feed(*[make_enriched(each, facts=make_facts(company_domain=early)) for each in customers])
        await scoring.feed(*[make_enriched(each, facts=make_facts(company_domain=late)) for each in strangers])
        scoring.clock.advance(days=1)
        until = scoring.clock.now()
        await scoring.feed(colleague(late))
        await scoring.feed(*[make_activity(each, kind="won", occurred_at=until) for each in customers])
        scoring.clock.advance(days=HORIZON)
        result = await backtest(scoring, version="2", since=since, until=until, compare_with_live=False)
        with pytest.raises(JobRefused, match="the same score"):
            await backtest(scoring, since=since, until=until)
    assert result["measured"]["auc"]["value"] == 1.0


def colleague(domain: str) -> Event:
    return make_enriched(facts=make_facts(company_domain=domain), activities=("demo_request",))


async def test_an_outcome_that_is_reported_late_does_not_make_its_lead_a_positive(copied: str) -> None:
    async with started(copied) as scoring:
        before = await backtest(scoring, horizon_days=HORIZON - 5)
        later = await backtest(scoring, horizon_days=HORIZON)
    assert before["leads"]["judged"] == later["leads"]["judged"]
    assert before["leads"]["positives"] < later["leads"]["positives"]


async def test_a_lead_whose_horizon_has_not_passed_is_counted_apart(lived: str) -> None:
    async with started(lived, NOON + timedelta(days=DAYS)) as scoring:
        result = await backtest(scoring)
    # Of the last ten days; the day whose horizon ends this very instant can be judged.
    assert result["leads"]["censored"] == (HORIZON - 1) * LEADS_A_DAY
    assert result["leads"]["judged"] == (DAYS - HORIZON + 1) * LEADS_A_DAY


async def test_a_lead_is_judged_at_its_first_submission_whatever_becomes_of_it(create_database: Any) -> None:
    """Points say nothing of who converts here; but they grow, and who converts does so before they do."""
    leads = [new_id() for _ in range(160)]
    customers = leads[::2]
    async with started(create_database(), NOON) as scoring:
        await scoring.feed(*[submitted(each, number // 2 % 2 * 5) for number, each in enumerate(leads)])
        scoring.clock.advance(days=2)
        now = scoring.clock.now()
        await scoring.feed(*[make_activity(each, kind="opportunity", occurred_at=now) for each in customers])
        scoring.clock.advance(days=2)
        await scoring.feed(*[submitted(each, 900) for each in leads])
        scoring.clock.advance(days=2 * HORIZON)
        result = await backtest(scoring)
        after = asking(since=NOON + timedelta(days=3))
        with pytest.raises(JobRefused, match="80 that had reached it before"):
            await backtest(scoring, since=after.since)
    assert (result["leads"]["judged"], result["leads"]["positives"]) == (160, 80)
    assert result["measured"]["auc"]["value"] == 0.5


def submitted(lead_id: str, employees: int) -> Event:
    return make_enriched(lead_id, lead=make_lead(employees=employees or None))


@pytest.mark.parametrize("bound", ["MOST_DECISIONS", "MOST_ACTIVITIES"])
async def test_a_lead_with_a_long_history_is_judged_as_any_other(
    create_database: Any, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    customers, strangers = [new_id() for _ in range(40)], [new_id() for _ in range(40)]
    async with started(create_database(), NOON) as scoring:
        await scoring.feed(*[make_enriched(each, activities=("demo_request",)) for each in customers])
        await scoring.feed(*[make_enriched(each) for each in strangers])
        for kind in ("opportunity", "website_visit", "email_click"):
            scoring.clock.advance(days=1)
            now = scoring.clock.now()
            await scoring.feed(*[make_activity(each, kind=kind, occurred_at=now) for each in customers])
        await scoring.feed(*[make_enriched(each) for each in customers + strangers])
        scoring.clock.advance(days=2 * HORIZON)
        whole = await backtest(scoring)
        monkeypatch.setattr(f"scoring.history.{bound}", 2)
        cut = await backtest(scoring)
    assert whole["measured"]["auc"]["value"] == 1.0
    assert {key: value for key, value in cut.items() if key != "drift"} == {
        key: value for key, value in whole.items() if key != "drift"
    }


# Where a number would mean nothing


async def test_too_few_outcomes_are_refused_with_their_number(lived: str) -> None:
    async with started(lived) as scoring:
        with pytest.raises(JobRefused) as refusal:
            await backtest(scoring, until=NOON + timedelta(days=3))
        with pytest.raises(JobRefused, match="0 are with the outcome 'accepted'") as nothing:
            await backtest(scoring, outcome="accepted", until=NOON + timedelta(hours=1), horizon_days=1)
    assert "at least 30 are needed" in str(refusal.value)
    assert str(refusal.value).startswith(f"Of {3 * LEADS_A_DAY} leads that can be judged,")
    assert "NaN" not in str(nothing.value)


async def test_a_period_without_leads_is_refused(lived: str) -> None:
    async with started(lived) as scoring:
        with pytest.raises(JobRefused, match="No lead was decided from 2020-01-01 00:00 to 2020-02-01 00:00 UTC"):
            await backtest(scoring, since="2020-01-01T00:00:00Z", until="2020-02-01T00:00:00Z")


async def test_a_period_that_is_too_young_is_refused(lived: str) -> None:
    async with started(lived) as scoring:
        with pytest.raises(JobRefused, match=f"None of the {DAYS * LEADS_A_DAY} leads .* horizon of 700 days"):
            await backtest(scoring, horizon_days=700)


async def test_a_version_that_was_never_stored_is_refused(lived: str) -> None:
    async with started(lived) as scoring:
        with pytest.raises(JobRefused, match="no version 99"):
            await backtest(scoring, version="99")


async def test_a_version_that_this_release_cannot_read_is_refused(copied: str) -> None:
    async with started(copied) as scoring:
        version = await store_unreadable(scoring)
        with pytest.raises(JobRefused, match=f"cannot read version {version}"):
            await backtest(scoring, version=version)


async def test_a_constant_score_is_refused(create_database: Any) -> None:
    leads = [new_id() for _ in range(80)]
    async with started(create_database(), NOON) as scoring:
        await scoring.feed(*[make_enriched(each) for each in leads])
        scoring.clock.advance(days=1)
        now = scoring.clock.now()
        await scoring.feed(*[make_activity(each, kind="won", occurred_at=now) for each in leads[:40]])
        scoring.clock.advance(days=HORIZON)
        with pytest.raises(JobRefused, match="gives all 80 leads that can be judged the same score, 53 points"):
            await backtest(scoring)


async def test_one_class_only_is_refused(create_database: Any) -> None:
    leads = [new_id() for _ in range(40)]
    async with started(create_database(), NOON) as scoring:
        await scoring.feed(*[make_enriched(each) for each in leads])
        scoring.clock.advance(days=1)
        now = scoring.clock.now()
        await scoring.feed(*[make_activity(each, kind="won", occurred_at=now) for each in leads])
        scoring.clock.advance(days=HORIZON)
        with pytest.raises(JobRefused, match="0 are without the outcome"):
            await backtest(scoring)


async def test_calibration_alone_is_refused_where_the_period_is_too_short_for_it(lived: str) -> None:
    async with started(lived) as scoring:
        result = await backtest(scoring, until=NOON + timedelta(days=HORIZON))
    assert result["measured"]["auc"]["value"] > 0.5
    assert "at least 100 are needed" in result["measured"]["calibration"]["refused"]
    assert (result["headline"]["brier"], result["headline"]["ece"]) == (None, None)
