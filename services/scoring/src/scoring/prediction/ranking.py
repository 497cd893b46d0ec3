"""The job that writes the probability beside every score, after another predictive model was put in force.

Leads that are decided meanwhile get theirs by that decision.
"""

import asyncio
from typing import Any, Final

from scoring.jobs.kinds import JobContext, JobKind
from scoring.prediction.model import predict
from scoring.prediction.repository import LivePrediction, Predicted, PredictionRepository, decode_model
from scoring.prediction.request import RANKING, RankingRequest
from scoring.repository import ScoringRepository
from shared.db import Sql

CHUNK: Final = 200  # held back for the time of one chunk, a decision waits some tens of milliseconds
ROUNDS: Final = 5
# Other processes know of the new model after a second; until then they may decide with the one before.
PAUSE_SECONDS: Final = 2.0
_FIRST: Final = "00000000-0000-0000-0000-000000000000"


async def rank_leads(context: JobContext, request: RankingRequest) -> dict[str, Any]:
    """Predict for every lead as of its latest decision. Ends early when the version is not live any more.

    Goes round again until it finds no lead without this version's probability: behind its back, a process that does not
    know of the version yet may store the one before's.
    """
    async with context.database.connection() as sql:
        predictions = PredictionRepository(sql)
        total = await predictions.count_scores()
        row = await predictions.find_model(request.version)
    if row is None:
        return {"ranked": 0, "left": 0, "is_live": False}
    live, ranked, left = LivePrediction(request.version, decode_model(row)), 0, 0
    for round_number in range(ROUNDS):
        if round_number:
            await asyncio.sleep(PAUSE_SECONDS)
        after: str | None = _FIRST
        before, left = ranked, 0
        while after is not None:
            async with context.database.transaction() as sql:
                if await sql.fetchval("SELECT version FROM live_prediction_model") != request.version:
                    return {"ranked": ranked, "left": left, "is_live": False}
                done, busy, after = await _rank_chunk(context, sql, live, after)
            ranked, left = ranked + done, left + busy
            await context.report(min(ranked, total), total)
        if round_number and ranked == before and not left:
            break
    return {"ranked": ranked, "left": left, "is_live": True}


async def _rank_chunk(context: JobContext, sql: Sql, live: LivePrediction, after: str) -> tuple[int, int, str | None]:
    """Rank the next leads; return how many were, how many were busy, and the last one of them (None: it was the end).

    A lead that a batch is deciding about is passed over: this waits for nobody, and so can be in nobody's circle.
    """
    repo, predictions = ScoringRepository(sql, context.models), PredictionRepository(sql)
    wanted = [lead_id for lead_id, _ in await predictions.list_outdated(live.version, after=after, limit=CHUNK)]
    if not wanted:
        return 0, 0, None
    free = await repo.try_lock_leads(wanted)
    # Read again now that they are ours: a decision that ended in between has changed what they are.
    scored_at = dict(await predictions.list_outdated(live.version, after=after, limit=CHUNK))
    states = await repo.load_states([lead_id for lead_id in scored_at if lead_id in free])
    probabilities = {
        lead_id: predict(live.model, state.profile, state.activities, scored_at[lead_id]).probability
        for lead_id, state in states.items()
        if state.profile is not None
    }
    await predictions.save_probabilities(Predicted(live.version, probabilities))
    return len(probabilities), len(wanted) - len(free), wanted[-1]


KIND: Final = JobKind(name=RANKING, request=RankingRequest, run=rank_leads)
