"""The job that plans a version: replays the leads of a period under it and under the live one."""

from datetime import datetime, timedelta
from typing import Any, Final

from scoring.domain.model import ScoringModel
from scoring.history import CHUNK, count_leads, list_lead_ids, read_chunk, read_colleagues
from scoring.jobs.kinds import JobContext, JobKind, JobRefused
from scoring.planning.comparison import Comparison
from scoring.planning.report import report_on
from scoring.planning.request import KIND, PlanRequest
from shared.clock import format_instant
from shared.documents import DocumentInvalid, DocumentNotFound


async def run_plan(context: JobContext, request: PlanRequest) -> dict[str, Any]:
    """Return what the version would change. Errors: `JobRefused` if there is nothing to compare."""
    until = request.until or context.now
    since = until - timedelta(days=request.days)
    planned = await _get_model(context, request.version)
    live = context.models.live
    comparison = Comparison(live.value, planned, since, until)
    kinds = {*live.value.account_signals_of, *planned.account_signals_of}
    async with context.database.connection() as sql:
        lead_ids = await list_lead_ids(sql, since=since, until=until, most=request.sample)
        if not lead_ids:
            raise JobRefused(_nobody(since, until))
        leads_in_period = len(lead_ids) if request.sample is None else await count_leads(sql, since, until)
        for start in range(0, len(lead_ids), CHUNK):
            await context.report(start, len(lead_ids))
            chunk = await read_chunk(sql, lead_ids[start : start + CHUNK], until)
            colleagues = await read_colleagues(sql, chunk, kinds=kinds, until=until) if kinds else {}
            for history in chunk:
                comparison.add(history, colleagues.get(history.lead_id, ()))
    if not comparison.leads:  # erased while we counted
        raise JobRefused(_nobody(since, until))
    result = report_on(
        comparison,
        version=request.version,
        live_version=live.version,
        since=since,
        until=until,
        leads_in_period=leads_in_period,
    )
    return result.model_dump(mode="json")


async def _get_model(context: JobContext, version: str) -> ScoringModel:
    try:
        return await context.models.get(version)
    except DocumentNotFound:
        raise JobRefused(f"There is no version {version} of the scoring model.") from None
    except DocumentInvalid:
        raise JobRefused(f"This release cannot read version {version} of the scoring model.") from None


def _nobody(since: datetime, until: datetime) -> str:
    return f"No lead was scored in this period ({format_instant(since)} to {format_instant(until)})."


PLAN: Final = JobKind(KIND, PlanRequest, run_plan)
