"""What was known of leads, and when: facts and decisions of a period, read in chunks, for whoever decides again."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from scoring.domain.account import MOST_MEMBERS, Deed, account_of, colleagues_activities
from scoring.domain.activity import Activity
from scoring.domain.decision import Profile, Trigger
from scoring.domain.model import Grade
from scoring.stored import unpack_activity, unpack_profile
from shared.db import Record, Sql

CHUNK: Final = 1000

# Of one lead, the newest so many. A decision looks at a thousand (repository); the others are there so that it can be
# made again as of earlier instants. A bot's hundred thousand page views would take an hour to decide about again.
MOST_ACTIVITIES: Final = 2000

# The same of a bot's hundred thousand submissions: each is a decision, and a profile.
MOST_DECISIONS: Final = 2000

# Of one account, the newest so many: each is a reason to decide again about each of its leads.
MOST_OF_ACCOUNT: Final = 400

_SHORTEST: Final = timedelta(microseconds=1)


_LEADS = "SELECT DISTINCT lead_id FROM score_decision WHERE scored_at >= $1 AND scored_at < $2"
# The sample is the same whenever it is taken, and says nothing about when a lead came: the order is a hash.
_SAMPLE = f"SELECT lead_id FROM ({_LEADS}) AS leads ORDER BY uuid_hash(lead_id), lead_id LIMIT $3"  # noqa: S608 - constants
_LEAD_IDS = f"SELECT lead_id::text FROM ({_SAMPLE}) AS sampled ORDER BY lead_id"  # noqa: S608 - constants
_COUNT = f"SELECT count(*) FROM ({_LEADS}) AS leads"  # noqa: S608 - constants

# By id they are in order of time, and a key finds the newest: a lead's others are not read.
_DECISIONS = """
    SELECT wanted.lead_id::text, decided.scored_at, trigger, model_version, points, raw, fit, engagement, grade, is_mql,
           profile
    FROM unnest($1::uuid[]) AS wanted (lead_id)
    CROSS JOIN LATERAL (
        SELECT * FROM score_decision
        WHERE score_decision.lead_id = wanted.lead_id AND scored_at < $2 ORDER BY decision_id DESC LIMIT $3
    ) AS decided
    ORDER BY wanted.lead_id, decided.scored_at, decided.decision_id
"""
_PROFILES_BEFORE = """
    SELECT wanted.lead_id::text, said.scored_at, said.profile
    FROM unnest($1::uuid[], $2::timestamptz[]) AS wanted (lead_id, before)
    CROSS JOIN LATERAL (
        SELECT scored_at, profile FROM score_decision
        WHERE score_decision.lead_id = wanted.lead_id AND scored_at < wanted.before AND profile IS NOT NULL
        ORDER BY decision_id DESC LIMIT 1
    ) AS said
"""
_FIRST_SUBMISSION = """
    SELECT min(scored_at) FROM score_decision
    WHERE lead_id = $1 AND scored_at >= $2 AND scored_at < $3 AND profile IS NOT NULL
"""
_ACTIVITIES = """
    SELECT lead_id::text, activity_id, kind, occurred_at, known_at, detail
    FROM (
        SELECT *, row_number() OVER (PARTITION BY lead_id ORDER BY known_at DESC, activity_id DESC) AS place
        FROM activity WHERE lead_id = ANY($1::uuid[]) AND known_at < $2
    ) AS numbered
    WHERE place <= $3 ORDER BY lead_id, known_at, occurred_at, activity_id
"""
# An activity is a colleague's from when both were known: it, and that its lead belongs to the account.
_OF_ACCOUNTS = """
    SELECT wanted.account::text, done.*
    FROM unnest($1::uuid[]) AS wanted (account)
    CROSS JOIN LATERAL (
        SELECT member.lead_id::text, activity_id, kind, occurred_at, greatest(activity.known_at, member.known_at) AS at,
               detail
        FROM (
            SELECT lead_id, known_at FROM lead_account
            WHERE lead_account.account = wanted.account AND known_at < $2 ORDER BY lead_id DESC LIMIT $4
        ) AS member
        JOIN activity ON activity.lead_id = member.lead_id AND activity.known_at < $2 AND kind = ANY($3::text[])
        ORDER BY at DESC, activity_id LIMIT $5
    ) AS done
    ORDER BY done.at, done.occurred_at, done.activity_id
"""


class DecidedScore(msgspec.Struct, frozen=True):
    """A score as it was decided. Points are points, not hundredths; ``scored_at`` is aware UTC."""

    scored_at: datetime
    trigger: Trigger
    model_version: str
    points: float
    raw: float
    fit: float
    engagement: float
    grade: Grade
    is_mql: bool


@dataclass(frozen=True, slots=True)
class LeadHistory:
    """Everything known of a lead before an instant, oldest first.

    ``profiles``: from when on who the lead is was known, and what. ``activities``: in the order in which they became
    known, the newest `MOST_ACTIVITIES` of them. ``decisions``: in the order in which they were made, the newest
    `MOST_DECISIONS`; ``profiles`` are theirs, and the one that was known when they begin. ``is_cut``: older decisions
    or activities are left out.
    """

    lead_id: str
    profiles: tuple[tuple[datetime, Profile], ...]
    activities: tuple[Activity, ...]
    decisions: tuple[DecidedScore, ...]
    is_cut: bool = False


async def count_leads(sql: Sql, since: datetime, until: datetime) -> int:
    """Return how many leads were decided about from *since* to before *until*."""
    count: int = await sql.fetchval(_COUNT, since, until)
    return count


async def list_lead_ids(sql: Sql, *, since: datetime, until: datetime, most: int | None = None) -> list[str]:
    """Return the leads that were decided about from *since* to before *until*, in order of their ids; if there are
    more than *most*, a sample of so many, always the same."""
    return [row["lead_id"] for row in await sql.fetch(_LEAD_IDS, since, until, most)]


async def read_histories(
    sql: Sql, *, since: datetime, until: datetime, chunk: int = CHUNK, most: int | None = None
) -> AsyncIterator[list[LeadHistory]]:
    """Yield every lead with a decision from *since* to before *until* (or a sample of *most*), with all that was known
    of it before *until*: what came before *since* too. A few statements per chunk; no transaction stays open."""
    lead_ids = await list_lead_ids(sql, since=since, until=until, most=most)
    for start in range(0, len(lead_ids), chunk):
        yield await read_chunk(sql, lead_ids[start : start + chunk], until)


async def read_chunk(sql: Sql, lead_ids: list[str], until: datetime) -> list[LeadHistory]:
    """Return what was known of each of *lead_ids* before *until*; those that nothing was decided about are left out."""
    # One more of each than is kept: then there are older ones.
    decisions = _by_lead(await sql.fetch(_DECISIONS, lead_ids, until, MOST_DECISIONS + 1))
    activities = _by_lead(await sql.fetch(_ACTIVITIES, lead_ids, until, MOST_ACTIVITIES + 1))
    cut = {lead_id: rows[1]["scored_at"] for lead_id, rows in decisions.items() if len(rows) > MOST_DECISIONS}
    before = {}
    if cut:
        said = await sql.fetch(_PROFILES_BEFORE, [*cut], [*cut.values()])
        before = {lead_id: (at, unpack_profile(profile)) for lead_id, at, profile in said}
    return [
        _history(lead_id, rows, activities.get(lead_id, []), before.get(lead_id)) for lead_id, rows in decisions.items()
    ]


async def read_first_submission(sql: Sql, lead_id: str, since: datetime, until: datetime) -> LeadHistory | None:
    """Return what was known of a lead at its first submission from *since* to before *until*, that one included; None
    if it did not submit anything then. For a lead whose history is cut: there the first may be among what is not."""
    first: datetime | None = await sql.fetchval(_FIRST_SUBMISSION, lead_id, since, until)
    return None if first is None else next(iter(await read_chunk(sql, [lead_id], first + _SHORTEST)), None)


async def read_colleagues(
    sql: Sql, histories: Iterable[LeadHistory], *, kinds: Collection[str], until: datetime
) -> dict[str, tuple[Activity, ...]]:
    """Return, for each lead that has some, what others of its account did and was known before *until*: activities of
    *kinds*, in the order in which they became known. The account is the one of the lead's latest profile; what was
    known before the lead came into it became known of a colleague when it did."""
    accounts = {
        history.lead_id: joined for history in histories if (joined := _joined_account(history.profiles)) is not None
    }
    deeds: dict[str, list[Deed]] = {}
    wanted = sorted({account for account, _ in accounts.values()})
    rows = await sql.fetch(_OF_ACCOUNTS, wanted, until, [*kinds], MOST_MEMBERS, MOST_OF_ACCOUNT)
    for account, *row in rows:
        deeds.setdefault(account, []).append(Deed(row[0], _activity(row, is_colleagues=True)))
    return {
        lead_id: tuple(_known_from(each, joined_at) for each in colleagues)
        for lead_id, (account, joined_at) in accounts.items()
        if (colleagues := colleagues_activities(deeds.get(account, ()), lead_id))
    }


def _joined_account(profiles: Sequence[tuple[datetime, Profile]]) -> tuple[str, datetime] | None:
    """Return the account that a lead is in at last, and since when it is without a break."""
    account = account_of(profiles[-1][1].facts) if profiles else None
    if account is None:
        return None
    trailing = takewhile(lambda known: account_of(known[1].facts) == account, reversed(profiles))
    return account, [at for at, _ in trailing][-1]


def _known_from(activity: Activity, at: datetime) -> Activity:
    return activity if activity.known_at >= at else replace(activity, known_at=at)


def _by_lead(rows: Iterable[Record]) -> dict[str, list[Record]]:
    leads: dict[str, list[Record]] = {}
    for row in rows:
        leads.setdefault(row["lead_id"], []).append(row)
    return leads


def _history(
    lead_id: str, decisions: list[Record], activities: list[Record], before: tuple[datetime, Profile] | None
) -> LeadHistory:
    """Make a history of one more decision and activity than is kept, if there are so many. *before*: the profile that
    was known when the decisions that are kept begin."""
    profiles = [] if before is None else [before]
    decided: list[DecidedScore] = []
    is_cut = len(decisions) > MOST_DECISIONS or len(activities) > MOST_ACTIVITIES
    kept = decisions[-MOST_DECISIONS:]
    for _, scored_at, trigger, version, points, raw, fit, engagement, grade, is_mql, profile in kept:
        decided.append(DecidedScore(scored_at, trigger, version, points, raw, fit, engagement, grade, is_mql))
        if profile is not None:
            profiles.append((scored_at, unpack_profile(profile)))
    known = tuple(map(_activity, activities[-MOST_ACTIVITIES:]))
    return LeadHistory(lead_id, tuple(profiles), known, tuple(decided), is_cut)


def _activity(row: Record | Sequence[Any], *, is_colleagues: bool = False) -> Activity:
    _, activity_id, kind, occurred_at, known_at, detail = row
    return unpack_activity(activity_id, kind, occurred_at, known_at, detail, is_colleagues=is_colleagues)
