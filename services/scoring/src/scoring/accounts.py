"""Accounts in Postgres: which leads belong together, and what they did. Only a model with an account group asks."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from scoring.domain.account import MOST_DEEDS, MOST_MEMBERS, Deed
from scoring.stored import unpack_activity
from shared.db import Sql

# The newest members of each account; of their counting activities the newest. LATERAL and LIMIT keep every look a
# look by key, however young the tables are when the statement is planned.
_DEEDS: Final = """
    SELECT wanted.account::text, deed.lead_id::text, deed.activity_id, deed.kind, deed.occurred_at, deed.known_at,
           deed.detail
    FROM unnest($1::uuid[]) AS wanted (account)
    CROSS JOIN LATERAL (
        SELECT done.* FROM (
            SELECT lead_id FROM lead_account
            WHERE lead_account.account = wanted.account AND ($5::timestamptz IS NULL OR known_at <= $5)
            ORDER BY lead_id DESC LIMIT $3
        ) AS member
        CROSS JOIN LATERAL (
            SELECT * FROM activity
            WHERE activity.lead_id = member.lead_id AND kind = ANY($2::text[])
              AND ($5::timestamptz IS NULL OR known_at <= $5)
            ORDER BY occurred_at DESC, activity_id LIMIT $4
        ) AS done
        ORDER BY done.occurred_at DESC, done.activity_id LIMIT $4
    ) AS deed
"""
# Members whom what colleagues do can make an MQL, or who are one.
_MEMBERS: Final = """
    SELECT wanted.account::text, member.lead_id::text
    FROM unnest($1::uuid[]) AS wanted (account)
    CROSS JOIN LATERAL (
        SELECT lead_account.lead_id FROM lead_account
        WHERE lead_account.account = wanted.account AND EXISTS (
            SELECT FROM lead_score
            WHERE lead_score.lead_id = lead_account.lead_id AND (grade = ANY($2::text[]) OR is_mql)
        )
        ORDER BY lead_account.lead_id DESC LIMIT $3
    ) AS member
"""


class AccountRepository:
    """Reads inside the transaction of its repository. Accounts are ids as `scoring.domain.account` makes them."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def list_deeds(
        self, accounts: Collection[str], kinds: Collection[str], at: datetime | None = None
    ) -> dict[str, list[Deed]]:
        """Return what the leads of each account did, newest first: activities of *kinds* that were known at *at*
        (``None`` = now), of leads that were known to belong there then."""
        deeds: dict[str, list[Deed]] = {}
        if not accounts:
            return deeds
        rows = await self._sql.fetch(_DEEDS, sorted(accounts), sorted(kinds), MOST_MEMBERS, MOST_DEEDS, at)
        for account, lead_id, activity_id, kind, occurred_at, known_at, detail in rows:
            activity = unpack_activity(activity_id, kind, occurred_at, known_at, detail, is_colleagues=True)
            deeds.setdefault(account, []).append(Deed(lead_id, activity))
        return deeds

    async def list_members(self, accounts: Collection[str], grades: Collection[str]) -> dict[str, list[str]]:
        """Return the leads of each account that have one of *grades* or are an MQL, the newest of them."""
        members: dict[str, list[str]] = {}
        for account, lead_id in await self._sql.fetch(_MEMBERS, sorted(accounts), sorted(grades), MOST_MEMBERS):
            members.setdefault(account, []).append(lead_id)
        return members
