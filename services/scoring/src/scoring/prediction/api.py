"""HTTP routes: train predictive models, look at them, put one in force or none."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from scoring.jobs.api import JobView, accept_job, queue_job
from scoring.lead_at import LeadAt
from scoring.prediction.model import predict
from scoring.prediction.report import Measures
from scoring.prediction.repository import LivePrediction
from scoring.prediction.request import RANKING, TRAINING, RankingRequest, TrainingRequest
from scoring.prediction.views import (
    ApplyRequest,
    LiveChange,
    OffRequest,
    PredictionModelSummary,
    PredictionModelView,
    PredictionView,
)
from scoring.repository import ScoringRepository
from shared.http import (
    Cursor,
    IdempotentRoute,
    Limit,
    Page,
    Principal,
    Problem,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    require_scope,
)
from shared.runtime import Runtime, UnitOfWork

# A model beyond these is put in force only by somebody who says so. An AUC of 0.6 orders one pair of ten better than
# a coin does; at an ECE of 0.05 "one in five" may mean one in four.
LOWEST_AUC: Final = 0.6
HIGHEST_ECE: Final = 0.05
MOST_VERSION: Final = 2**31 - 1

Version = Annotated[int, Path(ge=1, le=MOST_VERSION, description="The predictive model.")]
Applier = Annotated[Principal, require_scope("config:apply")]
Work = UnitOfWork[ScoringRepository]


def build_prediction_router(runtime: Runtime[ScoringRepository]) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["predictions"], route_class=IdempotentRoute)
    _add_models(router, runtime)

    @router.post("/v1/predictions/trainings", status_code=202)
    async def start_training(
        request: TrainingRequest, response: Response, principal: Annotated[Principal, require_scope("config:plan")]
    ) -> JobView:
        """Learn a predictive model from what became of leads. It is stored; nothing is put in force."""
        return await accept_job(runtime, TRAINING, request, principal=principal, response=response)

    @router.post("/v1/predictions/models/{version}/apply")
    async def apply_prediction_model(version: Version, request: ApplyRequest, principal: Applier) -> LiveChange:
        """Put a model in force: shown beside scores from now on, and what lists are ordered by if the scoring model
        says `ranking: probability`."""
        async with runtime.work() as work:
            row = await work.repo.predictions.find_model(version)
            if row is None:
                raise _no_model()
            measures = PredictionModelSummary.of(row).report.measures
            if (faults := find_faults(measures)) and not request.force:
                raise Problem(
                    422,
                    "prediction_model_too_weak",
                    "This model is measured to be too weak",
                    detail=f"{' '.join(faults)} To apply it all the same, say force.",
                    errors=[{"pointer": "/force", "detail": fault} for fault in faults],
                )
            change = await _change_live(work, version, principal, request.why, forced=faults)
        work.repo.forget_live_prediction()
        return change

    @router.post("/v1/predictions/off")
    async def switch_predictions_off(request: OffRequest, principal: Applier) -> LiveChange:
        """Predict nothing any more: lists are ordered by points at once, whatever the scoring model says."""
        async with runtime.work() as work:
            change = await _change_live(work, None, principal, request.why, forced=[])
        work.repo.forget_live_prediction()
        return change

    return router


def _add_models(router: APIRouter, runtime: Runtime[ScoringRepository]) -> None:
    @router.get("/v1/predictions/models", dependencies=[require_scope("config:plan")])
    async def list_prediction_models(limit: Limit = 50, cursor: Cursor = None) -> Page[PredictionModelSummary]:
        """Return all stored models, newest first."""
        before = None if cursor is None else _version_in(cursor)
        async with runtime.read() as repo:
            rows = await repo.predictions.list_models(before=before, limit=limit + 1)
        items = [PredictionModelSummary.of(row) for row in rows[:limit]]
        more = encode_cursor(str(items[-1].version)) if len(rows) > limit else None
        return Page(items=items, next_cursor=more)

    @router.get("/v1/predictions/models/{version}", dependencies=[require_scope("config:plan")])
    async def get_prediction_model(version: Version) -> PredictionModelView:
        """Return a model: its data, how good it was on leads it had not seen, its coefficients."""
        async with runtime.read() as repo:
            row = await repo.predictions.find_model(version)
        if row is None:
            raise _no_model()
        return PredictionModelView.of(row)


def predict_view(live: LivePrediction | None, found: LeadAt) -> PredictionView | None:
    """Return what the live predictive model says of the lead at that instant; None if there is none."""
    if live is None:
        return None
    prediction = predict(live.model, found.known.profile, found.known.activities, found.at)
    return PredictionView.of(live.version, live.model, prediction)


def find_faults(measures: Measures) -> list[str]:
    """Return why a model so measured is too weak to be put in force without force, a sentence each."""
    faults = []
    if measures.auc.value < LOWEST_AUC:
        faults.append(f"Its AUC on leads it had not seen is {measures.auc.value:.3f}, below {LOWEST_AUC}.")
    if measures.ece.value > HIGHEST_ECE:
        faults.append(f"Its calibration error (ECE) is {measures.ece.value:.3f}, above {HIGHEST_ECE}.")
    return faults


async def _change_live(
    work: Work, version: int | None, principal: Principal, why: str, *, forced: list[str]
) -> LiveChange:
    predictions = work.repo.predictions
    before = await predictions.lock_live_version()
    await predictions.apply_model(version, actor=principal.client_id, why=why, now=work.now)
    work.audit(
        actor=principal.client_id,
        action="prediction_model.off" if version is None else "prediction_model.applied",
        subject="prediction_model",
        before={"version": before},
        after={"version": version, "forced_although": forced},
        why=why,
    )
    job_id = None
    if version is not None:
        request = RankingRequest(version=version)
        job_id = await queue_job(predictions.sql, RANKING, request, actor=principal.client_id, now=work.now)
    return LiveChange(version=version, version_before=before, ranking_job_id=job_id)


def _no_model() -> Problem:
    return Problem(404, "prediction_model_not_found", "No such predictive model")


def _version_in(cursor: str) -> int:
    text = decode_cursor(cursor, size=1)[0]
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MOST_VERSION:
        raise invalid_cursor()
    return int(text)
