"""What the routes that explain a score answer, from a lead at an instant. No I/O."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from scoring.domain.account import account_of
from scoring.domain.counterfactual import find_counterfactuals
from scoring.domain.evidence import KnownProfile, rules_behind, signals_behind, trace_inputs
from scoring.domain.forecast import forecast
from scoring.domain.model import ScoringModel
from scoring.domain.points import to_points
from scoring.domain.what_if import Case
from scoring.explanation.views import EvidenceView, InputView, OutlookView, RuleEvidenceView, SignalEvidenceView
from scoring.lead_at import LeadAt

MOST_PROFILES: Final = 100  # submissions of one lead that are searched for where a value came from


def answer_evidence(lead_id: str, found: LeadAt, profiles: Sequence[KnownProfile]) -> EvidenceView:
    """Return what the score was made from. *profiles*: newest first; one more than `MOST_PROFILES` says that there
    are older ones."""
    result = found.standing.result
    rules = rules_behind(found.model, result)
    fields = {field.name: field for evidence in rules for field in evidence.rule.inputs}
    inputs = trace_inputs(fields.values(), profiles[:MOST_PROFILES], is_all=len(profiles) <= MOST_PROFILES)
    signals = signals_behind(found.model, result, found.known.scored_activities, found.at)
    return EvidenceView(
        lead_id=lead_id,
        at=found.at,
        model_version=found.version,
        rules=[RuleEvidenceView.of(each) for each in rules],
        inputs=[InputView.of(each) for each in inputs],
        signals=[SignalEvidenceView.of(each) for each in signals],
    )


def answer_outlook(lead_id: str, found: LeadAt) -> OutlookView:
    """Return what time will do to the score and what would raise it. Scores the lead hundreds of times."""
    profile, activities, standing = found.known.profile, found.known.scored_activities, found.standing
    model = found.model if account_of(profile.facts) is not None else _without_colleagues(found.model)
    case = Case(model, profile.lead, profile.facts, activities, found.at)
    ahead = forecast(found.model, profile.lead, profile.facts, activities, found.at, standing)
    return OutlookView(
        lead_id=lead_id,
        at=found.at,
        model_version=found.version,
        points=to_points(standing.result.points),
        grade=standing.result.grade,
        is_mql=standing.is_mql,
        **OutlookView.fields_of(ahead, find_counterfactuals(case, is_mql=standing.is_mql)),
    )


def _without_colleagues(model: ScoringModel) -> ScoringModel:
    """Return *model* for a lead without an account: nobody could do what the account group counts."""
    own = [group for group in model.engagement if not any(signal.of_account for signal in group.signals)]
    return replace(model, engagement=tuple(own))
