"""What time will do is read off the formula that scores: at each instant named, the score is what was said."""

from datetime import timedelta

from hypothesis import given, settings
from tests.unit.scoring.random_models import NOW, facts_of_leads, histories, leads, models

from scoring.domain.activity import Activity
from scoring.domain.forecast import HORIZONS, Forecast, forecast
from scoring.domain.model import ScoringModel
from scoring.domain.score import score_lead
from scoring.domain.standing import stand_at
from scoring.model_document import default_model_text, parse_model
from shared.contracts import Facts, Lead

DEFAULT = parse_model(default_model_text())
MILLISECOND = timedelta(milliseconds=1)
History = list[Activity]


def look_ahead(
    model: ScoringModel, lead: Lead, facts: Facts, history: History, *, was_mql: bool = False
) -> tuple[bool, Forecast]:
    standing = stand_at(model, lead, facts, history, NOW, was_mql=was_mql)
    return standing.is_mql, forecast(model, lead, facts, history, NOW, standing)


def demo() -> History:
    return [Activity(activity_id="a", kind="demo_request", occurred_at=NOW, known_at=NOW)]


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_a_limit_is_fallen_below_at_the_very_millisecond_that_is_named(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    _, ahead = look_ahead(model, lead, facts, history)
    for fall in ahead.falls:
        at = fall.at or NOW + timedelta(days=20_000)
        assert (score_lead(model, lead, facts, history, at).raw < fall.hundredths) == (fall.at is not None)
        if fall.at not in {None, NOW}:
            assert score_lead(model, lead, facts, history, at - MILLISECOND).raw >= fall.hundredths


@given(models(), leads, facts_of_leads, histories)
@settings(max_examples=60, deadline=None)
def test_the_points_ahead_are_the_score_at_that_instant(
    model: ScoringModel, lead: Lead, facts: Facts, history: History
) -> None:
    was_mql, ahead = look_ahead(model, lead, facts, history, was_mql=True)
    for outlook in ahead.outlooks:
        result = score_lead(model, lead, facts, history, NOW + timedelta(days=outlook.days))
        assert (outlook.points, outlook.engagement) == (result.points, result.engagement)
        assert outlook.is_mql == (was_mql and model.is_qualified(result.points, result.grade, was_qualified=True))


def test_the_days_ahead_are_tomorrow_a_week_two_weeks_and_a_month() -> None:
    _, ahead = look_ahead(DEFAULT, Lead(), Facts(seniority="vp"), demo())
    assert HORIZONS == (1, 7, 14, 30)
    assert [(each.days, each.points, each.is_mql) for each in ahead.outlooks] == [
        (1, 5055, True), (7, 4321, False), (14, 3700, False), (30, 2879, False),
    ]  # fmt: skip


def test_a_lead_falls_below_the_entry_before_it_stops_being_an_mql() -> None:
    is_mql, ahead = look_ahead(DEFAULT, Lead(), Facts(seniority="vp"), demo())
    (entry, exit_) = ahead.falls
    assert is_mql
    assert (entry.limit, entry.hundredths, exit_.limit, exit_.hundredths) == ("mql_from", 5000, "mql_until", 4500)
    assert entry.at is not None
    assert exit_.at is not None
    assert NOW < entry.at < exit_.at == ahead.mql_ends_at


def test_a_lead_below_a_limit_has_fallen_by_now_and_no_mql_state_to_lose() -> None:
    is_mql, ahead = look_ahead(DEFAULT, Lead(), Facts(), demo())
    assert not is_mql
    assert [fall.at for fall in ahead.falls] == [NOW, NOW]
    assert ahead.mql_ends_at is None


def test_fit_alone_stays_for_good() -> None:
    _, ahead = look_ahead(DEFAULT, Lead(employees=5000, industry="software"), Facts(seniority="c_level"), [])
    assert [fall.at for fall in ahead.falls] == [None, None]
    assert {each.points for each in ahead.outlooks} == {6000}
