"""Loads the desk for a batch and saves what was decided. Locks are taken in one order everywhere: leads, accounts,
pool members, reps; inside each by key. Two batches at once wait for each other, they do not deadlock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from routing import statements as q
from routing.delivery.store import NOTIFY_CHANNEL
from routing.domain.decide import account_domain, pools_of
from routing.domain.decision import Tenure
from routing.domain.desk import Desk, LeadFile
from routing.domain.document import Crew, RoutingDocument
from routing.domain.roster import Load
from routing.filing import Filing
from routing.reference import Reference, ReferenceCache
from shared.contracts import LeadCleared, encode_event
from shared.db import Record, Sql
from shared.documents import DocumentStore

_CASES = msgspec.json.Decoder(LeadCleared)


class RoutingRepository:
    """Decisions and their state. ``sql`` is the API's way to the listings beside this."""

    def __init__(self, sql: Sql, documents: DocumentStore[RoutingDocument], cache: ReferenceCache) -> None:
        self.sql = sql
        self._live = documents.live
        self._cache = cache

    async def open_desk(self, now: datetime) -> tuple[Desk, Reference]:
        """Return an empty desk with the rules and reps of now."""
        reference = await self._cache.load(self.sql)
        return Desk(now, self._live.value, self._live.version, reference.roster()), reference

    async def load_cleared(self, desk: Desk, cases: Sequence[LeadCleared]) -> None:
        """Remember the cases, lock their leads, and load everything that routing them needs."""
        latest = {case.lead_id: case for case in sorted(cases, key=lambda case: case.verdict.decided_at)}
        ids = sorted(latest)
        rows = await self.sql.fetch(
            q.UPSERT_LEADS,
            ids,
            [encode_event(latest[lead_id]) for lead_id in ids],
            [latest[lead_id].verdict.decided_at for lead_id in ids],
            desk.now,
        )
        for row in rows:
            desk.files[row["lead_id"]] = LeadFile(row["lead_id"], latest[row["lead_id"]], row["blocked_at"])
        await self._load_tenures(desk, [row["lead_id"] for row in rows if not row["is_new"]])
        open_cases = [case for case in latest.values() if self._needs_owner(desk, case)]
        await self._load_accounts(desk, open_cases)
        await self._load_counters(desk, open_cases)

    async def load_blocked(self, desk: Desk, blocks: Mapping[str, datetime]) -> None:
        """Remember since when consent forbids contact, lock the leads and load what they have."""
        ids = sorted(blocks)
        rows = await self.sql.fetch(q.UPSERT_BLOCKS, ids, [blocks[lead_id] for lead_id in ids], desk.now)
        await self._load_files(desk, rows)
        await self._load_counters(desk, ())

    async def load_known(self, desk: Desk, lead_ids: Iterable[str]) -> None:
        """Lock leads that are known and load what they have, and everything that moving them needs."""
        rows = await self.sql.fetch(q.LOCK_LEADS, sorted(set(lead_ids)))
        await self._load_files(desk, rows)
        cases = [file.case for file in desk.files.values() if file.case is not None]
        await self._load_accounts(desk, cases)
        await self._load_counters(desk, cases)

    async def find_assignments(self, assignment_ids: Sequence[str]) -> set[str]:
        """Return those of *assignment_ids* that are known, running or ended."""
        rows = await self.sql.fetch(q.FIND_ASSIGNMENTS, assignment_ids)
        return {row["assignment_id"] for row in rows}

    async def load_rep(self, desk: Desk, rep_id: str) -> None:
        """Lock one more rep's counters."""
        if rep_id not in desk.loads:
            await self._load_loads(desk, {rep_id})

    async def _load_files(self, desk: Desk, rows: Sequence[Record]) -> None:
        for row in rows:
            case = _CASES.decode(row["cleared"]) if row["cleared"] is not None else None
            desk.files[row["lead_id"]] = LeadFile(row["lead_id"], case, row["blocked_at"])
        await self._load_tenures(desk, [row["lead_id"] for row in rows])

    async def _load_tenures(self, desk: Desk, lead_ids: Sequence[str]) -> None:
        if not lead_ids:
            return
        for row in await self.sql.fetch(q.LIST_RUNNING, lead_ids):
            desk.files[row["lead_id"]].owner = tenure_of(row)
        for row in await self.sql.fetch(q.LIST_WAITING, lead_ids):
            desk.files[row["lead_id"]].is_waiting = True

    @staticmethod
    def _needs_owner(desk: Desk, case: LeadCleared) -> bool:
        owner = desk.files[case.lead_id].owner
        if owner is not None:
            return owner.rep_id not in desk.roster.reps
        return case.score.is_mql or not desk.document.has_nurture

    async def _load_accounts(self, desk: Desk, cases: Sequence[LeadCleared]) -> None:
        domains = sorted({domain for case in cases if (domain := account_domain(case.facts)) is not None})
        if domains and desk.document.has_account_owner:
            rows = await self.sql.fetch(q.LOCK_ACCOUNTS, domains, desk.now)
            desk.accounts = {row["company_domain"]: row["rep_id"] for row in rows}

    async def _load_counters(self, desk: Desk, cases: Sequence[LeadCleared]) -> None:
        crews = [desk.crew(desk.document.pools[pool_id]) for pool_id in sorted(pools_of(cases, desk.document))]
        await self._load_balances(desk, crews)
        reps = {member.rep_id for crew in crews for member in crew.members}
        reps |= {owner for owner in desk.accounts.values() if owner is not None}
        reps |= {file.owner.rep_id for file in desk.files.values() if file.owner is not None}
        await self._load_loads(desk, reps)

    async def _load_balances(self, desk: Desk, crews: Sequence[Crew]) -> None:
        crews = [crew for crew in crews if crew.members]
        if not crews:
            return
        stored = await self._lock_members([crew.pool_id for crew in crews])
        for crew in crews:
            if {rep_id: weight for rep_id, (weight, _) in stored.get(crew.pool_id, {}).items()} != crew.key:
                stored[crew.pool_id] = await self._reset_pool(crew)
        desk.balances = {
            pool_id: {rep_id: balance for rep_id, (_, balance) in members.items()}
            for pool_id, members in stored.items()
        }

    async def _lock_members(self, pool_ids: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for row in await self.sql.fetch(q.LOCK_MEMBERS, pool_ids):
            found.setdefault(row["pool_id"], {})[row["rep_id"]] = (row["weight"], row["balance"])
        return found

    async def _reset_pool(self, crew: Crew) -> dict[str, tuple[int, int]]:
        """Start the pool's balances at zero: other members or weights make the old ones meaningless."""
        reps = [member.rep_id for member in crew.members]
        weights = [member.weight for member in crew.members]
        await self.sql.execute(q.ADD_MEMBERS, crew.pool_id, reps, weights)
        stored = (await self._lock_members([crew.pool_id])).get(crew.pool_id, {})
        if {rep_id: weight for rep_id, (weight, _) in stored.items()} == crew.key:
            return stored  # another process was first
        await self.sql.execute(q.REMOVE_OTHER_MEMBERS, crew.pool_id, reps)
        await self.sql.execute(q.RESET_MEMBERS, crew.pool_id, reps, weights)
        return {member.rep_id: (member.weight, 0) for member in crew.members}

    async def _load_loads(self, desk: Desk, rep_ids: Iterable[str]) -> None:
        wanted = sorted(rep_ids)
        if wanted:
            for row in await self.sql.fetch(q.LOCK_LOADS, wanted):
                desk.loads[row["rep_id"]] = Load(row["open_leads"], row["day"], row["given"])

    async def save(self, filing: Filing) -> None:
        """Write everything that was filed, and the counters that moved."""
        await self._save_counters(filing.desk)
        await self._save_decisions(filing)
        await self._save_assignments(filing)
        await self._save_queue(filing)
        await self._save_callbacks(filing)

    async def _save_counters(self, desk: Desk) -> None:
        if desk.changed_pools:
            moved = [
                (pool_id, rep_id, balance)
                for pool_id in sorted(desk.changed_pools)
                for rep_id, balance in sorted(desk.balances[pool_id].items())
            ]
            await self.sql.execute(q.SAVE_BALANCES, *_columns(moved))
        if desk.changed_loads:
            loads = [(rep_id, desk.loads[rep_id]) for rep_id in sorted(desk.changed_loads)]
            rows = [(rep_id, load.open, load.day, load.given) for rep_id, load in loads]
            await self.sql.execute(q.SAVE_LOADS, *_columns(rows))
        if desk.changed_accounts:
            owners = [(domain, desk.accounts[domain]) for domain in sorted(desk.changed_accounts)]
            await self.sql.execute(q.SAVE_ACCOUNTS, *_columns(owners))

    async def _save_decisions(self, filing: Filing) -> None:
        if filing.decisions:
            await self.sql.execute(q.INSERT_DECISIONS, *_columns(filing.decisions), filing.desk.now)

    async def _save_assignments(self, filing: Filing) -> None:
        now = filing.desk.now
        if filing.ended:
            await self.sql.execute(q.END_ASSIGNMENTS, *_columns(filing.ended), now)
        if filing.worked:
            await self.sql.execute(q.MARK_WORKED, filing.worked, now)
        if filing.started:
            rows = [
                (
                    tenure.assignment_id, tenure.lead_id, tenure.rep_id, tenure.rep_name, tenure.team, tenure.pool,
                    tenure.rule_id, via, tenure.document_version, source_key, decision_id, tenure.assigned_at,
                )
                for tenure, via, source_key, decision_id in filing.started
            ]  # fmt: skip
            await self.sql.execute(q.INSERT_ASSIGNMENTS, *_columns(rows))

    async def _save_queue(self, filing: Filing) -> None:
        if filing.dequeued:
            await self.sql.execute(q.LEAVE_QUEUE, sorted(filing.dequeued))
        if filing.queued:
            rows = [(lead_id, *entry) for lead_id, entry in sorted(filing.queued.items())]
            await self.sql.execute(q.ENTER_QUEUE, *_columns(rows), filing.desk.now)

    async def _save_callbacks(self, filing: Filing) -> None:
        if filing.cancelled:
            await self.sql.execute(q.CANCEL_CALLBACKS, *_columns(sorted(filing.cancelled.items())), filing.desk.now)
        if filing.callbacks:
            rows = [
                (
                    row.callback_id, row.endpoint_id, row.lead_id, row.event_type, row.body, row.received_at,
                    row.copies,
                )
                for row in filing.callbacks
            ]  # fmt: skip
            await self.sql.fetch(q.INSERT_CALLBACKS, *_columns(rows), filing.desk.now, NOTIFY_CHANNEL)


def tenure_of(row: Record) -> Tenure:
    """Return the running assignment in a row."""
    return Tenure(
        assignment_id=row["assignment_id"],
        lead_id=row["lead_id"],
        rep_id=row["rep_id"],
        rep_name=row["rep_name"],
        team=row["team"],
        pool=row["pool"],
        rule_id=row["rule_id"],
        document_version=row["document_version"],
        assigned_at=row["assigned_at"],
        is_worked=row["worked_at"] is not None,
    )


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
