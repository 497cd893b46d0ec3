"""What became of each record of a run, asked of the services' own routes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import httpx

from local_stack.load.crm import Callback

AT_ONCE = 8  # per destination; httpx collapses above


class Accepted(NamedTuple):
    """One 2xx: what was posted by whom, and the ids in the answer."""

    title: str
    kind: str
    submission_id: str


class Story(NamedTuple):
    """One record from receipt to its end. Instants are None for stages that the lead did not reach."""

    title: str
    kind: str
    submission_id: str
    record_id: str
    nature: str
    state: str
    reason: str | None
    lead_id: str | None
    received_at: datetime
    enriched_at: datetime | None
    score: Mapping[str, Any] | None
    consent: Mapping[str, Any] | None
    routing: Mapping[str, Any] | None
    callbacks: Sequence[Callback]

    @property
    def stages(self) -> dict[str, float]:
        """Return milliseconds from receipt to each stage that was reached."""
        instants: dict[str, datetime | None] = {"enriched": self.enriched_at}
        if self.score:
            instants["scored"] = _instant(self.score["decided"]["scored_at"])
        if self.consent and self.consent["last_decision"]:
            instants["consented"] = _instant(self.consent["last_decision"]["decided_at"])
        if self.owner:
            instants["assigned"] = _instant(self.owner["assigned_at"])
        spans = {name: _milliseconds(self.received_at, at) for name, at in instants.items() if at is not None}
        if self.callbacks:
            spans["callback"] = (self.callbacks[0].received_at - self.received_at.timestamp()) * 1000
        return spans

    @property
    def owner(self) -> Mapping[str, Any] | None:
        """Return the present assignment, if there is one."""
        owner: Mapping[str, Any] | None = self.routing["owner"] if self.routing else None
        return owner


async def read_stories(
    urls: Mapping[str, str], client: httpx.AsyncClient, accepted: Sequence[Accepted], callbacks: Sequence[Callback]
) -> list[Story]:
    """Return the story of every record of *accepted*, in order. Errors: `httpx.HTTPError`."""
    by_lead: dict[str, list[Callback]] = {}
    for callback in callbacks:
        by_lead.setdefault(callback.body["data"]["lead_id"], []).append(callback)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Accepted) -> list[Story]:
        async with gate:
            return await _read(urls, client, item, by_lead)

    return [story for stories in await asyncio.gather(*map(one, accepted)) for story in stories]


async def _read(
    urls: Mapping[str, str], client: httpx.AsyncClient, item: Accepted, by_lead: Mapping[str, list[Callback]]
) -> list[Story]:
    submission = await _get(client, f"{urls['ingest']}/v1/submissions/{item.submission_id}")
    assert submission is not None, "an accepted submission can be read"
    stories = []
    for record in submission["records"]:
        lead_id = record["lead_id"]
        lead = score = consent = routing = None
        if lead_id is not None:
            lead = await _get(client, f"{urls['ingest']}/v1/leads/{lead_id}")
            score = await _get(client, f"{urls['scoring']}/v1/leads/{lead_id}/score")
            consent = await _get(client, f"{urls['consent']}/v1/leads/{lead_id}/consent")
            routing = await _get(client, f"{urls['routing']}/v1/leads/{lead_id}/routing")
        stories.append(
            Story(
                title=item.title,
                kind=item.kind,
                submission_id=item.submission_id,
                record_id=record["record_id"],
                nature=record["nature"],
                state=record["state"],
                reason=record["reason"],
                lead_id=lead_id,
                received_at=_instant(record["received_at"]),
                enriched_at=_instant(lead["enriched_at"]) if lead and lead["enriched_at"] else None,
                score=score,
                consent=consent,
                routing=routing,
                callbacks=by_lead.get(lead_id or "", ()),
            )
        )
    return stories


async def _get(client: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    answer = await client.get(url)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _milliseconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000
