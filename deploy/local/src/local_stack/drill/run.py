"""The drill: what happens in which order, told line by line."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import msgspec

from local_stack.blocking import run_blocking
from local_stack.drill.evidence import Evidence, find_work_left, read_evidence
from local_stack.drill.installation import Installation, running_installation
from local_stack.drill.judgement import Story, find_faults
from local_stack.drill.traffic import Promise, Senders
from local_stack.failure import StackError
from local_stack.forget import forget_data
from local_stack.state import only_stack

MARGIN = timedelta(minutes=10)  # Kafka's instants are the producers'; this is far more than clocks differ
SETTLE_SECONDS = 120.0
POLL_SECONDS = 0.2
SAYS_NO = 2
MOVED = 2
SHARE_REPEATED = 2
STATEMENT = {
    "purposes": ["sales_contact", "marketing"],
    "channels": ["email", "phone", "sms"],
    "method": "phone_call",
    "why": "asked to be left alone",
}

Say = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``leads``: of each part of the traffic. ``rate``: per second. ``fsync`` off is for tests only."""

    data: Path
    leads: int
    rate: float
    fsync: bool
    is_kept: bool
    recovers: bool = True


class Drill:
    """One run on a started installation."""

    def __init__(self, installation: Installation, options: Options, say: Say) -> None:
        self._on = installation
        self._options = options
        self._began = time.monotonic()
        self._say = say
        self._senders = Senders(installation.urls["ingest"], installation.setup)

    def run(self) -> list[str]:
        """Return a sentence per promise that the restore broke."""
        leads = self._options.leads
        self._pour(leads)
        self._settle()
        self._on.postgres.take_base_backup()
        self._tell(f"{leads} leads, then a base backup.")
        kept = self._pour(leads)
        to = run_blocking(self._database_now())
        kept += self._pour(leads)
        self._settle()
        self._tell(f"{leads} leads until {to:%H:%M:%S.%f}, the instant to restore; {leads} after it.")
        early, late = (self._leads_of(part) for part in (kept[: len(kept) // 2], kept[len(kept) // 2 :]))
        withdrawn = run_blocking(self._let_people_decide(early, late))
        self._settle()
        self._tell(f"After that instant {len(withdrawn)} people say no, and a person gives {2 * MOVED} leads away.")
        before = self._evidence()
        unheard = self._lose_everything(leads)
        self._restore(to)
        repeated = self._repeat(unheard[::2], self._with_outbox(kept, before, withdrawn))
        self._settle()
        self._tell("Senders repeat what they sent since then; nothing moves any more.")
        story = Story(
            kept=[one for one in self._senders.promises if one not in unheard],
            lost=unheard,
            repeated=repeated,
            withdrawn=withdrawn,
        )
        after = self._evidence()
        self._report(before, after, unheard)
        return find_faults(story, before, after)

    def _with_outbox(self, kept: Sequence[Promise], before: Evidence, withdrawn: frozenset[str]) -> Sequence[Promise]:
        """Return some of *kept* to send again. Nobody who said no fills in a form again: that would be a new yes."""
        silent = {row["record_id"] for row in before.records if row["lead_id"] in withdrawn}
        willing = [one for one in kept if not (one.kind == "web_form" and one.record_id in silent)]
        return willing[::SHARE_REPEATED]

    def _repeat(self, unheard: Sequence[Promise], kept: Sequence[Promise]) -> list[tuple[Promise, Promise]]:
        run_blocking(self._senders.repeat(unheard))
        return list(zip(kept, run_blocking(self._senders.repeat(kept)), strict=True))

    def _lose_everything(self, leads: int) -> list[Promise]:
        """Lose the broker's service, take in what then only the database knows, and lose the database; return it."""
        self._on.kill_kafka()
        unheard = self._pour(max(2, leads // 4))
        self._on.postgres.close_archive()
        self._on.postgres.lose()
        self._on.kill_services()
        self._tell(f"{len(unheard)} records accepted while Kafka is away; then the database's disk is lost.")
        return unheard

    def _restore(self, to: datetime) -> None:
        self._on.kafka.launch()
        self._on.postgres.restore(to)
        self._on.kafka.wait_ready()
        self._tell("PostgreSQL is restored from base backup and archive, Kafka is back and ahead of it.")
        since = to - MARGIN
        if self._options.recovers:
            self._on.recover_services(since)
            self._tell("Ingest, consent and routing have learned again what they had announced.")
        self._on.rewind_consumers(since)
        self._tell(f"Every consumer is rewound to {since:%H:%M}.")
        self._on.start_services()
        self._tell("Services are ready.")

    def _pour(self, leads: int) -> list[Promise]:
        return run_blocking(self._senders.pour(leads, self._options.rate))

    def _leads_of(self, promises: Sequence[Promise]) -> list[str]:
        """Return the leads of *promises* that somebody has."""
        running = self._evidence()
        wanted = {one.record_id for one in promises}
        return sorted({row["lead_id"] for row in running.records if row["record_id"] in wanted} & set(running.running))

    async def _let_people_decide(self, early: Sequence[str], late: Sequence[str]) -> frozenset[str]:
        """Let people say no, and a person at a desk give leads away; of leads from before and after the instant."""
        noes = [*early[:SAYS_NO], *late[:SAYS_NO]]
        moved = [*early[SAYS_NO : SAYS_NO + MOVED], *late[SAYS_NO : SAYS_NO + MOVED]]
        urls = self._on.urls
        async with httpx.AsyncClient(headers=self._on.headers, timeout=20, trust_env=False) as client:
            for lead_id in noes:
                url = f"{urls['consent']}/v1/leads/{lead_id}/consent/withdrawals"
                _check(await client.post(url, json=STATEMENT))
            for lead_id in moved:
                url = f"{urls['routing']}/v1/leads/{lead_id}/assignment"
                _check(await client.post(url, json={"rep_id": "frank", "why": "knows the company"}))
        return frozenset(noes)

    def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while left := run_blocking(find_work_left(self._on.database_url, self._on.kafka.bootstrap_servers)):
            for service in self._on.services:
                service.child.check_running()
            if time.monotonic() > deadline:
                raise StackError(f"After {SETTLE_SECONDS:.0f} s there is still work left: {', '.join(left)}.")
            time.sleep(POLL_SECONDS)

    def _evidence(self) -> Evidence:
        self._on.flush_callbacks()
        return run_blocking(read_evidence(self._on.database_url, self._on.kafka.bootstrap_servers, self._on.callbacks))

    async def _database_now(self) -> datetime:
        connection = await asyncpg.connect(self._on.database_url)
        try:
            now: datetime = await connection.fetchval("SELECT now()")
        finally:
            await connection.close()
        return now

    def _report(self, before: Evidence, after: Evidence, unheard: Sequence[Promise]) -> None:
        self._say(f"  records    {len(before.records)} before, {len(after.records)} after; "
                  f"{len(unheard)} were on no topic and are lost, as documented")  # fmt: skip
        self._say(f"  owners     {len(before.running)} leads before, {len(after.running)} after")
        self._say(f"  callbacks  {len(before.told)} before, {len(after.told) - len(before.told)} sent since")

    def _tell(self, line: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {line}")


def run_drill(options: Options, say: Say) -> list[str]:
    """Run the drill on a folder of its own and return what it broke. Errors: `StackError` when a part fails."""
    forget_data(options.data)
    with only_stack(options.data), running_installation(options.data, fsync=options.fsync) as installation:
        faults = Drill(installation, options, say).run()
    if not faults and not options.is_kept:
        forget_data(options.data)
    return faults


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        raise StackError(f"{answer.request.method} {answer.request.url} answers {answer.status_code}: {answer.text}")
