"""Predictive models in Postgres: every version for ever, which one is live, and what it said of each lead."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from scoring.prediction.model import PredictiveModel
from shared.db import Record, Sql

REFRESH_SECONDS: Final = 1.0
log = structlog.get_logger(module=__name__)

_MODEL = msgspec.json.Decoder(PredictiveModel)

_SUMMARY = """
    SELECT stored.version, stored.job_id::text, stored.created_at, stored.created_by, stored.refreshed_from,
           stored.outcome, stored.since, stored.learned_until, stored.until, stored.report::text, stored.model::text,
           live.version IS NOT NULL AS is_live
    FROM prediction_model AS stored LEFT JOIN live_prediction_model AS live ON live.version = stored.version
"""
# One at a time: two trainings that end together must not take the same number.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('prediction_model', 0))"
_ADD = """
    INSERT INTO prediction_model (version, job_id, created_at, created_by, refreshed_from, outcome, since,
                                  learned_until, until, model, report, learned)
    SELECT (SELECT coalesce(max(version), 0) + 1 FROM prediction_model), $1, $2,
           coalesce((SELECT asked_by FROM job WHERE job_id = $1), 'leadrail'), $3, $4, $5, $6, $7, $8, $9, $10
    ON CONFLICT (job_id) DO NOTHING
    RETURNING version
"""
_APPLY = """
    INSERT INTO live_prediction_model AS live (version, applied_at, applied_by, why) VALUES ($1, $2, $3, $4)
    ON CONFLICT (slot) DO UPDATE SET
        version = EXCLUDED.version, applied_at = EXCLUDED.applied_at, applied_by = EXCLUDED.applied_by,
        why = EXCLUDED.why
"""
_OUTDATED = """
    SELECT lead_id::text, scored_at FROM lead_score
    WHERE lead_id > $1 AND prediction_version IS DISTINCT FROM $2 ORDER BY lead_id LIMIT $3
"""
_SAVE = """
    UPDATE lead_score SET probability = predicted.probability, prediction_version = $1
    FROM unnest($2::uuid[], $3::float8[]) AS predicted (lead_id, probability)
    WHERE lead_score.lead_id = predicted.lead_id
"""


class LivePrediction(msgspec.Struct, frozen=True):
    """The predictive model in force."""

    version: int
    model: PredictiveModel


class Predicted(msgspec.Struct, frozen=True):
    """What a version predicts for leads: probability by lead id."""

    version: int
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class NewModel:
    """What a training stores. ``learned``: what a refresh needs to know of it."""

    job_id: str
    refreshed_from: int | None
    outcome: str
    since: datetime
    learned_until: datetime
    until: datetime
    model: PredictiveModel
    report_json: str
    learned: bytes


class LivePredictions:
    """The live predictive model as this process knows it, at most a second old. One per process."""

    def __init__(self) -> None:
        self._live: LivePrediction | None = None
        self._looked_at = float("-inf")
        self._unreadable: int | None = None

    def forget(self) -> None:
        """Look again at the next call: something was changed here."""
        self._looked_at = float("-inf")

    async def get(self, sql: Sql) -> LivePrediction | None:
        """Return the live model, or None: none was applied, or predictions are off."""
        if time.monotonic() - self._looked_at < REFRESH_SECONDS:
            return self._live
        version = await sql.fetchval("SELECT version FROM live_prediction_model")
        if version is None:
            self._live = None
        elif self._live is None or self._live.version != version:
            await self._load(sql, version)
        self._looked_at = time.monotonic()
        return self._live

    async def _load(self, sql: Sql, version: int) -> None:
        """A newer release may have stored what this one cannot read: go on with the version before, and say so."""
        text = await sql.fetchval("SELECT model::text FROM prediction_model WHERE version = $1", version)
        try:
            self._live = LivePrediction(version, _MODEL.decode(text))
        except msgspec.DecodeError:
            if self._unreadable != version:
                log.error("prediction_model_not_readable", version=version)  # noqa: TRY400 - once, without a stack
            self._unreadable = version


class PredictionRepository:
    """Predictive models and their predictions. Part of somebody else's transaction."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    async def add_model(self, new: NewModel, now: datetime) -> int:
        """Store a model at *now*; return its version, the stored one if another attempt of the job was first.

        To be called in a transaction.
        """
        await self.sql.execute(_LOCK)
        version: int | None = await self.sql.fetchval(
            _ADD,
            new.job_id,
            now,
            new.refreshed_from,
            new.outcome,
            new.since,
            new.learned_until,
            new.until,
            msgspec.json.encode(new.model).decode(),
            new.report_json,
            new.learned,
        )
        if version is None:
            version = await self.sql.fetchval("SELECT version FROM prediction_model WHERE job_id = $1", new.job_id)
        assert version is not None, "stored now or before"
        return version

    async def find_model(self, version: int) -> Record | None:
        """Return a stored model, without what a refresh needs of it."""
        return await self.sql.fetchrow(_SUMMARY + "WHERE stored.version = $1", version)

    async def find_model_of_job(self, job_id: str) -> Record | None:
        """Return the model that a training stored."""
        return await self.sql.fetchrow(_SUMMARY + "WHERE stored.job_id = $1", job_id)

    async def find_live_model(self) -> Record | None:
        """Return the live model with what a refresh needs of it."""
        return await self.sql.fetchrow(
            "SELECT stored.* FROM prediction_model AS stored JOIN live_prediction_model USING (version)"
        )

    async def list_models(self, *, before: int | None, limit: int) -> list[Record]:
        """Return stored models, newest first."""
        return await self.sql.fetch(
            _SUMMARY + "WHERE $1::integer IS NULL OR stored.version < $1 ORDER BY stored.version DESC LIMIT $2",
            before,
            limit,
        )

    async def lock_live_version(self) -> int | None:
        """Return the live version; nobody else changes it until this transaction ends."""
        await self.sql.execute(_LOCK)
        version: int | None = await self.sql.fetchval("SELECT version FROM live_prediction_model")
        return version

    async def apply_model(self, version: int | None, *, actor: str, why: str, now: datetime) -> None:
        """Make a stored version live; None: switch predictions off."""
        await self.sql.execute(_APPLY, version, now, actor, why)

    async def list_outdated(self, version: int, *, after: str, limit: int) -> list[tuple[str, datetime]]:
        """Return (lead, when it was scored) of leads whose stored probability is not that version's, by lead id."""
        rows = await self.sql.fetch(_OUTDATED, after, version, limit)
        return [(row["lead_id"], row["scored_at"]) for row in rows]

    async def count_scores(self) -> int:
        """Return how many leads have a score."""
        count: int = await self.sql.fetchval("SELECT count(*) FROM lead_score")
        return count

    async def save_probabilities(self, predicted: Predicted) -> None:
        """Store what was predicted beside the current scores. The leads must be locked."""
        leads: Sequence[str] = list(predicted.probabilities)
        await self.sql.execute(_SAVE, predicted.version, leads, [predicted.probabilities[lead_id] for lead_id in leads])


def decode_model(row: Mapping[str, Any] | Record) -> PredictiveModel:
    """Return the model of a stored row."""
    return _MODEL.decode(row["model"])
