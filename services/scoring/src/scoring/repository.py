"""Scores, their history and activities in Postgres: set-based, one statement per step of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import select, tuple_

from scoring.accounts import AccountRepository
from scoring.domain.account import account_of, colleagues_activities
from scoring.domain.activity import Activity
from scoring.domain.decision import Decision, LeadState, Profile
from scoring.domain.model import ScoringModel
from scoring.domain.score import Line
from scoring.outcomes.repository import OutcomeRepository
from scoring.prediction.repository import LivePrediction, LivePredictions, Predicted, PredictionRepository
from scoring.stored import pack_lines, pack_profile, unpack_activity, unpack_lines, unpack_profile
from scoring.tables import lead_score, score_decision
from shared.db import Record, Sql
from shared.documents import DocumentStore, LiveDocument
from shared.ids import new_id

# Of one lead, the newest so many activities are scored; a bot's hundred thousand page views must not become the
# batch's memory. At the shipped half-life and caps a thousandth activity decides nothing.
MOST_ACTIVITIES: Final = 1000

_LOCK_SPACE: Final = 0x5C0E  # advisory locks are per database: a space of our own, beside other services'

_ENCODE = msgspec.json.Encoder().encode

_LOCK = "SELECT pg_advisory_xact_lock($1, key) FROM unnest($2::int[]) AS keys (key)"
_TRY_LOCK = "SELECT key FROM unnest($2::int[]) AS keys (key) WHERE pg_try_advisory_xact_lock($1, key)"

# What a lead is known by, and everything it did, newest first, as arrays: one row per lead. LIMIT 1 keeps each look a
# look by key: as a plain join it is planned as a scan of the whole table while the table is young, and stays so.
_STATE = """
    SELECT wanted.lead_id::text, score.profile_id::text, score.profile, coalesce(score.is_mql, false) AS is_mql,
           score.points, done.ids, done.kinds, done.occurred_at, done.known_at, done.details
"""
_FROM = """
    FROM unnest($1::uuid[]) AS wanted (lead_id)
    LEFT JOIN LATERAL (
        SELECT lead_score.profile_id, lead_score.is_mql, lead_score.points,
               (SELECT decision.profile FROM score_decision AS decision
                WHERE decision.lead_id = lead_score.lead_id AND decision.decision_id = lead_score.profile_id) AS profile
        FROM lead_score WHERE lead_score.lead_id = wanted.lead_id LIMIT 1
    ) AS score ON true
    CROSS JOIN LATERAL (
        SELECT array_agg(activity_id) AS ids, array_agg(kind) AS kinds, array_agg(occurred_at) AS occurred_at,
               array_agg(known_at) AS known_at, array_agg(detail) AS details
        FROM (
            SELECT activity_id, kind, occurred_at, known_at, detail FROM activity
            WHERE activity.lead_id = wanted.lead_id AND ($3::timestamptz IS NULL OR known_at <= $3)
            ORDER BY occurred_at DESC LIMIT $2
        ) AS newest
    ) AS done
"""
_LOAD = _STATE + _FROM
# A statement does not see what it inserts itself: the states are those from before.
_ADD_AND_LOAD = f"""
    WITH added AS (
        INSERT INTO activity (lead_id, activity_id, kind, occurred_at, known_at, detail)
        SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::bytea[])
        ON CONFLICT DO NOTHING
        RETURNING lead_id, activity_id
    ), fresh AS (
        SELECT lead_id, array_agg(activity_id) AS ids FROM added GROUP BY lead_id
    )
    {_STATE}, fresh.ids AS fresh
    {_FROM} LEFT JOIN fresh ON fresh.lead_id = wanted.lead_id
"""  # noqa: S608 - constants

# Which of a batch's decisions becomes the lead's current score: the last one. The leads are locked, so what was new
# when it was loaded still is, and needs no ON CONFLICT: that costs a new row two more log records.
_EARLIER: Final = 0
_LATEST_OF_NEW: Final = 1
_LATEST_OF_KNOWN: Final = 2

_SAVE = f"""
    WITH decided AS (
        SELECT * FROM unnest(
            $3::uuid[], $4::uuid[], $5::text[], $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::text[],
            $11::boolean[], $12::bytea[], $13::uuid[], $14::bytea[], $15::integer[], $16::float8[], $17::integer[]
        ) AS input (
            decision_id, lead_id, trigger, points, raw, fit, engagement, grade, is_mql, profile, profile_id, lines,
            place, probability, prediction_version
        )
    ), history AS (
        INSERT INTO score_decision (lead_id, decision_id, trigger, scored_at, model_version, points, raw, fit,
                                    engagement, grade, is_mql, profile)
        SELECT lead_id, decision_id, trigger, $1, $2, points, raw, fit, engagement, grade, is_mql, profile
        FROM decided
    ), new AS (
        INSERT INTO lead_score (lead_id, decision_id, trigger, scored_at, model_version, points, raw, fit,
                                engagement, grade, is_mql, profile_id, lines, probability, prediction_version)
        SELECT lead_id, decision_id, trigger, $1, $2, points, raw, fit, engagement, grade, is_mql, profile_id, lines,
               probability, prediction_version
        FROM decided WHERE place = {_LATEST_OF_NEW}
    ), placed AS ( -- leads with a submission: the account they are in now and the one they were in
        SELECT input.lead_id, input.account, known.lead_id IS NOT NULL AS is_known, known.account AS was
        FROM unnest($18::uuid[], $19::uuid[]) AS input (lead_id, account)
        LEFT JOIN LATERAL (
            SELECT lead_id, account FROM lead_account WHERE lead_account.lead_id = input.lead_id LIMIT 1
        ) AS known ON true
    ), joined AS (
        INSERT INTO lead_account (lead_id, account, known_at)
        SELECT lead_id, account, $1 FROM placed WHERE NOT is_known AND account IS NOT NULL
    ), moved AS (
        INSERT INTO lead_account (lead_id, account, known_at)
        SELECT lead_id, account, $1 FROM placed WHERE is_known AND account IS DISTINCT FROM was
        ON CONFLICT (lead_id) DO UPDATE SET account = EXCLUDED.account, known_at = EXCLUDED.known_at
    )
    INSERT INTO lead_score AS score (lead_id, decision_id, trigger, scored_at, model_version, points, raw, fit,
                                     engagement, grade, is_mql, profile_id, lines, probability, prediction_version)
    SELECT lead_id, decision_id, trigger, $1, $2, points, raw, fit, engagement, grade, is_mql, profile_id, lines,
           probability, prediction_version
    FROM decided WHERE place = {_LATEST_OF_KNOWN}
    ON CONFLICT (lead_id) DO UPDATE SET
        decision_id = EXCLUDED.decision_id, trigger = EXCLUDED.trigger, scored_at = EXCLUDED.scored_at,
        model_version = EXCLUDED.model_version, points = EXCLUDED.points, raw = EXCLUDED.raw, fit = EXCLUDED.fit,
        engagement = EXCLUDED.engagement, grade = EXCLUDED.grade, is_mql = EXCLUDED.is_mql,
        profile_id = EXCLUDED.profile_id, lines = EXCLUDED.lines, probability = EXCLUDED.probability,
        prediction_version = EXCLUDED.prediction_version
"""  # noqa: S608 - constants

_DECISION_AT = """
    SELECT decision_id::text, lead_id::text, trigger, scored_at, model_version, points, raw, fit, engagement,
           grade, is_mql
    FROM score_decision WHERE lead_id = $1 AND scored_at <= $2 ORDER BY decision_id DESC LIMIT 1
"""
_PROFILE_AT = """
    SELECT profile FROM score_decision
    WHERE lead_id = $1 AND scored_at <= $2 AND profile IS NOT NULL ORDER BY decision_id DESC LIMIT 1
"""
_PROFILES_UNTIL = """
    SELECT scored_at, profile FROM score_decision
    WHERE lead_id = $1 AND scored_at <= $2 AND profile IS NOT NULL ORDER BY decision_id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class KnownAt:
    """A lead as it was known at an instant, and the decision that stood then."""

    profile: Profile
    activities: tuple[Activity, ...]
    decision: Record
    colleagues: tuple[Activity, ...] = ()
    """What others of its account did, where the model that decided or the live one counts that."""

    @property
    def scored_activities(self) -> tuple[Activity, ...]:
        """Return everything a score looks at."""
        return (*self.activities, *self.colleagues)


class ScoringRepository:
    """Everything scoring stores. Built per transaction; reads and writes only inside it."""

    def __init__(
        self, sql: Sql, models: DocumentStore[ScoringModel], live_predictions: LivePredictions | None = None
    ) -> None:
        self._sql = sql
        self._models = models
        self._live_predictions = live_predictions
        self.outcomes = OutcomeRepository(sql)
        self.accounts = AccountRepository(sql)
        self.predictions = PredictionRepository(sql)

    @property
    def live_model(self) -> LiveDocument[ScoringModel]:
        """The model in force, and its version."""
        return self._models.live

    async def find_live_prediction(self) -> LivePrediction | None:
        """Return the predictive model in force, as of the last second; None if there is none."""
        return None if self._live_predictions is None else await self._live_predictions.get(self._sql)

    def forget_live_prediction(self) -> None:
        """Look again which predictive model is in force: it was changed here."""
        if self._live_predictions is not None:
            self._live_predictions.forget()

    async def get_model(self, version: str) -> ScoringModel:
        """Return a version of the model. Errors: `DocumentNotFound`."""
        return await self._models.get(version)

    async def lock_leads(self, lead_ids: Sequence[str]) -> None:
        """Wait until no other transaction decides about these leads, and keep it so until this one ends.

        Two topics and a timer can speak of one lead at once, in two processes; a row lock would not do, because a new
        lead has no row yet. In a statement of its own, before anything is read: a statement sees what was committed
        when it began. One order of locks for everybody, so that no two batches wait for each other.
        """
        await self._sql.execute(_LOCK, _LOCK_SPACE, sorted({_lock_key(lead_id) for lead_id in lead_ids}))

    async def try_lock_leads(self, lead_ids: Sequence[str]) -> set[str]:
        """Like `lock_leads` for those that are free; return them. Never waits.

        The timer loop holds its timer's row, for which a batch that holds the lead may wait: waiting here would be a
        deadlock.
        """
        rows = await self._sql.fetch(_TRY_LOCK, _LOCK_SPACE, sorted({_lock_key(lead_id) for lead_id in lead_ids}))
        free = {row["key"] for row in rows}
        return {lead_id for lead_id in lead_ids if _lock_key(lead_id) in free}

    async def add_activities(
        self, lead_ids: Sequence[str], activities: Sequence[tuple[str, Activity]]
    ) -> tuple[dict[str, LeadState], set[tuple[str, str]]]:
        """Store (lead_id, activity) pairs, the outcomes among them also as such. Return the state every lead had
        before, and (lead_id, activity_id) of those that were not known before."""
        if not activities:
            return await self.load_states(lead_ids), set()
        rows = await self._sql.fetch(
            _ADD_AND_LOAD,
            list(lead_ids),
            MOST_ACTIVITIES,
            None,
            [lead_id for lead_id, _ in activities],
            [activity.activity_id for _, activity in activities],
            [activity.kind for _, activity in activities],
            [activity.occurred_at for _, activity in activities],
            [activity.known_at for _, activity in activities],
            [_ENCODE(activity.detail) if activity.detail else None for _, activity in activities],
        )
        fresh = {(row["lead_id"], activity_id) for row in rows for activity_id in row["fresh"] or ()}
        await self.outcomes.add([each for each in activities if (each[0], each[1].activity_id) in fresh])
        return {row["lead_id"]: _state(row) for row in rows}, fresh

    async def load_states(self, lead_ids: Sequence[str]) -> dict[str, LeadState]:
        """Return the present state of every lead. A lead nobody knows has an empty state."""
        rows = await self._sql.fetch(_LOAD, list(lead_ids), MOST_ACTIVITIES, None)
        return {row["lead_id"]: _state(row) for row in rows}

    async def save_decisions(
        self, decisions: Sequence[Decision], version: str, now: datetime, predicted: Predicted | None = None
    ) -> None:
        """Append *decisions* to the history and make the last of each lead its current score, with what is
        *predicted* of it beside it."""
        if not decisions:
            return
        latest = {decision.lead_id: index for index, decision in enumerate(decisions)}
        accounts = {each.lead_id: account_of(each.profile.facts) for each in decisions if each.trigger == "submission"}
        ids = [new_id() for _ in decisions]
        profile_ids: list[str | None] = []
        brought: dict[str, str] = {}  # by the submissions of this batch
        for decision_id, decision in zip(ids, decisions, strict=True):
            if decision.trigger == "submission":
                brought[decision.lead_id] = decision_id
            profile_ids.append(brought.get(decision.lead_id, decision.profile_id))
        await self._sql.execute(
            _SAVE,
            now,
            version,
            ids,
            [decision.lead_id for decision in decisions],
            [decision.trigger for decision in decisions],
            [decision.score.points for decision in decisions],
            [decision.score.raw for decision in decisions],
            [decision.score.fit for decision in decisions],
            [decision.score.engagement for decision in decisions],
            [decision.score.grade for decision in decisions],
            [decision.score.is_mql for decision in decisions],
            [pack_profile(decision.profile) if decision.trigger == "submission" else None for decision in decisions],
            profile_ids,
            [pack_lines(decision.result.lines) for decision in decisions],
            [
                _EARLIER
                if latest[decision.lead_id] != index
                else _LATEST_OF_NEW
                if decision.profile_id is None
                else _LATEST_OF_KNOWN
                for index, decision in enumerate(decisions)
            ],
            [None if predicted is None else predicted.probabilities.get(each.lead_id) for each in decisions],
            [None if predicted is None else predicted.version] * len(decisions),
            list(accounts),
            list(accounts.values()),
        )

    async def find_known_at(self, lead_id: str, at: datetime) -> KnownAt | None:
        """Return the lead as it was known at *at*; None if it was not scored by then."""
        decision = await self._sql.fetchrow(_DECISION_AT, lead_id, at)
        profile = await self._sql.fetchval(_PROFILE_AT, lead_id, at)
        if decision is None or profile is None:
            return None
        rows = await self._sql.fetch(_LOAD, [lead_id], MOST_ACTIVITIES, at)
        known = KnownAt(unpack_profile(profile), tuple(_state(rows[0]).activities), decision)
        colleagues = await self._list_colleagues_activities(lead_id, known, at)
        return replace(known, colleagues=tuple(colleagues))

    async def _list_colleagues_activities(self, lead_id: str, known: KnownAt, at: datetime) -> list[Activity]:
        """Return what others of the lead's account did by *at*, if a model that may be asked about it counts that."""
        account = account_of(known.profile.facts)
        models = [self.live_model.value, await self.get_model(known.decision["model_version"])]
        kinds = {kind for model in models for kind in model.account_signals_of}
        if account is None or not kinds:
            return []
        deeds = await self.accounts.list_deeds([account], kinds, at)
        return colleagues_activities(deeds.get(account, ()), lead_id)

    async def list_profiles(self, lead_id: str, at: datetime, limit: int) -> list[tuple[datetime, Profile]]:
        """Return who the lead was said to be and since when, up to *at*, newest first."""
        rows = await self._sql.fetch(_PROFILES_UNTIL, lead_id, at, limit)
        return [(row["scored_at"], unpack_profile(row["profile"])) for row in rows]

    async def find_lines(self, lead_id: str, decision_id: str) -> tuple[Line, ...] | None:
        """Return the stored explanation of a lead's latest decision; None if *decision_id* is not the latest."""
        lines = await self._sql.fetchval(
            "SELECT lines FROM lead_score WHERE lead_id = $1 AND decision_id = $2", lead_id, decision_id
        )
        return None if lines is None else unpack_lines(lines)

    async def list_scores(
        self,
        *,
        grade: str | None,
        is_mql: bool | None,
        min_points: float | None,
        after: tuple[float, str] | None,
        limit: int,
    ) -> list[Record]:
        """Return current scores, highest first."""
        columns = [column for column in lead_score.c if column.name not in {"profile_id", "lines"}]
        statement = select(*columns).order_by(lead_score.c.points.desc(), lead_score.c.lead_id.desc()).limit(limit)
        if grade is not None:
            statement = statement.where(lead_score.c.grade == grade)
        if is_mql is not None:
            statement = statement.where(lead_score.c.is_mql.is_(is_mql))
        if min_points is not None:
            statement = statement.where(lead_score.c.points >= min_points)
        if after is not None:
            statement = statement.where(tuple_(lead_score.c.points, lead_score.c.lead_id) < after)
        return await self._sql.select(statement)

    async def list_decisions(self, lead_id: str, *, before: str | None, limit: int) -> list[Record]:
        """Return a lead's decisions, newest first."""
        columns = [column for column in score_decision.c if column.name != "profile"]
        statement = (
            select(*columns)
            .where(score_decision.c.lead_id == lead_id)
            .order_by(score_decision.c.decision_id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(score_decision.c.decision_id < before)
        return await self._sql.select(statement)


def _lock_key(lead_id: str) -> int:
    """Return a signed 32-bit number from the random end of a UUID. Leads that share one only wait for each other."""
    return int(lead_id[-8:], 16) - (1 << 31)


def _state(row: Record) -> LeadState:
    profile, activities = row["profile"], []
    if row["ids"] is not None:
        columns = zip(row["ids"], row["kinds"], row["occurred_at"], row["known_at"], row["details"], strict=True)
        activities = [unpack_activity(*each) for each in columns]
    return LeadState(
        lead_id=row["lead_id"],
        profile=None if profile is None else unpack_profile(profile),
        activities=activities,
        is_mql=row["is_mql"],
        profile_id=row["profile_id"],
        decided_points=row["points"],
    )
