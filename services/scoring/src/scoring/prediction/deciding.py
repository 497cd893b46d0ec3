"""Predictions for leads whose score is being decided."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from scoring.domain.decision import LeadState
from scoring.prediction.model import predict
from scoring.prediction.repository import LivePrediction, Predicted


def predict_leads(
    live: LivePrediction | None, states: Mapping[str, LeadState], lead_ids: Iterable[str], at: datetime
) -> Predicted | None:
    """Return what the live model predicts for those leads, as they are known at *at*; None while there is none."""
    if live is None:
        return None
    probabilities = {}
    for lead_id in lead_ids:
        state = states[lead_id]
        if lead_id not in probabilities and state.profile is not None:
            probabilities[lead_id] = predict(live.model, state.profile, state.activities, at).probability
    return Predicted(live.version, probabilities)
