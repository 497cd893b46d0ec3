"""Mapping a quarantined record again, with today's source and mapping."""

import msgspec

from ingest.capture import Capture
from ingest.delivery_body import parse_body
from ingest.domain.arrival import Arrival, Numbered, Result
from ingest.domain.records import Record as MappedRecord
from ingest.domain.refusal import RefusedBody
from ingest.domain.senders.registry import SENDERS
from ingest.domain.source import Inbound
from ingest.door import map_safely
from ingest.repository import IngestRepository
from ingest.sources import SourceDirectory
from shared.db import Record
from shared.http import Problem
from shared.runtime import Runtime


class Replay:
    """Replays one record. The door's own transaction decides, so nothing replays twice and no lead appears twice."""

    def __init__(self, runtime: Runtime[IngestRepository], sources: SourceDirectory, capture: Capture) -> None:
        self._runtime = runtime
        self._sources = sources
        self._capture = capture

    async def replay(self, record_id: str, actor: str) -> tuple[Result, ...]:
        """Return what the record (and records found beside it) became. Errors: `Problem` 404, 409, 410."""
        async with self._runtime.read() as repo:
            record = await repo.quarantine.find_record(record_id)
            submission = await repo.leads.find_submission(record["submission_id"]) if record is not None else None
        if record is None:
            raise Problem(404, "record_not_found", "No such record")
        if record["state"] != "quarantined":
            raise _not_quarantined()
        if submission is None:
            raise Problem(410, "submission_expired", "The raw submission is no longer kept")
        arrival = self._map_again(record, submission, await self._map(submission))
        [outcome] = await self._capture.keep([arrival])
        if outcome.verdict == "not_quarantined":
            raise _not_quarantined()
        replayed = next(result for result in outcome.results if result.record_id == record_id)
        async with self._runtime.work() as work:
            added = [result.record_id for result in outcome.results if result.record_id != record_id]
            if added:
                await work.repo.quarantine.add_record_ids(arrival.submission_id, added)
            work.audit(
                actor=actor,
                action="quarantine.replay",
                subject=record_id,
                before={"state": "quarantined", "reason": record["reason"]},
                after={"nature": replayed.nature, "lead_id": replayed.lead_id},
            )
        if replayed.nature == "quarantined":
            raise Problem(409, "still_unmappable", "The current mapping cannot map this record either")
        return outcome.results

    async def _map(self, submission: Record) -> tuple[MappedRecord, ...]:
        source = await self._sources.find(submission["source_key"])
        if source is None or source.kind not in SENDERS:
            raise Problem(409, "source_gone", "The source of this record no longer exists")
        sender = SENDERS[source.kind]
        headers = {
            name.encode(): value.encode("latin-1", "replace")
            for name, value in msgspec.json.decode(submission["headers"], type=dict[str, str]).items()
        }
        try:
            payload, is_form = parse_body(sender, headers, submission["body"])
            return map_safely(
                sender,
                Inbound(
                    payload=payload,
                    source=source,
                    received_at=submission["received_at"],
                    headers=headers,
                    is_form=is_form,
                    is_reviewed=True,
                ),
            )
        except RefusedBody as refused:
            raise Problem(409, "still_unmappable", "The body cannot be read", detail=refused.code) from None

    def _map_again(self, record: Record, submission: Record, mapped: tuple[MappedRecord, ...]) -> Arrival:
        """Return what to take: all records of a submission quarantined as a whole, else the one that is replaced."""
        record_id, ordinal = record["record_id"], record["ordinal"]
        was_whole = ordinal == 0 and submission["record_ids"] == [record_id]
        numbered: list[Numbered] = []
        for position, again in enumerate(mapped):
            if position == ordinal:
                numbered.append(self._capture.number(position, again, record_id))
            elif was_whole:
                numbered.append(self._capture.number(position, again))
        if not any(item.record_id == record_id for item in numbered):
            raise Problem(409, "still_unmappable", "The current mapping finds no such record in this submission")
        return Arrival(
            submission_id=submission["submission_id"],
            source_key=submission["source_key"],
            source_kind=submission["source_kind"],
            received_at=submission["received_at"],
            records=tuple(numbered),
            has_gpc=msgspec.json.decode(submission["headers"], type=dict[str, str]).get("sec-gpc") == "1",
            replaced=frozenset({record_id}),
        )


def _not_quarantined() -> Problem:
    return Problem(409, "not_quarantined", "This record is not in quarantine (any more)")
