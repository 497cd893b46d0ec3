"""What became of each record of a run, asked of the services' own routes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import httpx

from local_stack.demo.posting import AT_ONCE, Delivery
from local_stack.load.crm import Callback


class Story(NamedTuple):
    """One record from receipt to its end. What a service does not know of is None.

    ``consent``: the last decision; ``may_contact``: consent's answer now. ``callbacks``: those the CRM took.
    """

    title: str
    kind: str
    record_id: str
    nature: str
    state: str
    reason: str | None
    lead_id: str | None
    received_at: datetime
    enriched_at: datetime | None
    score: Mapping[str, Any] | None
    consent: Mapping[str, Any] | None
    may_contact: bool
    routing: Mapping[str, Any] | None
    callbacks: Sequence[Callback]

    @property
    def owner(self) -> Mapping[str, Any] | None:
        """Return the present assignment, if there is one."""
        owner: Mapping[str, Any] | None = self.routing["owner"] if self.routing else None
        return owner

    @property
    def stages(self) -> dict[str, float]:
        """Return milliseconds from receipt to each stage that was reached."""
        instants: dict[str, datetime | None] = {"enriched": self.enriched_at}
        if self.score:
            instants["scored"] = _instant(self.score["decided"]["scored_at"])
        if self.consent:
            instants["consented"] = _instant(self.consent["decided_at"])
        if self.owner:
            instants["assigned"] = _instant(self.owner["assigned_at"])
        spans = {name: (at - self.received_at).total_seconds() * 1000 for name, at in instants.items() if at}
        if self.callbacks:
            spans["callback"] = (self.callbacks[0].received_at - self.received_at.timestamp()) * 1000
        return spans


class Reader:
    """Reads stories. ``client`` carries a key with ``leads:read``."""

    def __init__(self, client: httpx.AsyncClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls
        self._gates = {service: asyncio.Semaphore(AT_ONCE) for service in urls}

    async def read(self, deliveries: Sequence[Delivery], callbacks: Sequence[Callback]) -> dict[str, list[Story]]:
        """Return the stories of each accepted delivery by its submission. Errors: `httpx.HTTPError`."""
        by_lead: dict[str, list[Callback]] = {}
        for callback in callbacks:
            by_lead.setdefault(callback.body["data"]["lead_id"], []).append(callback)
        accepted = [delivery for delivery in deliveries if delivery.submission_id is not None]
        stories = await asyncio.gather(*(self._read_delivery(delivery, by_lead) for delivery in accepted))
        return {str(delivery.submission_id): found for delivery, found in zip(accepted, stories, strict=True)}

    async def _read_delivery(self, delivery: Delivery, by_lead: Mapping[str, list[Callback]]) -> list[Story]:
        submission = await self._get("ingest", f"/v1/submissions/{delivery.submission_id}")
        records = submission["records"] if submission is not None else []
        return [await self._read_record(delivery, record, by_lead) for record in records]

    async def _read_record(
        self, delivery: Delivery, record: Mapping[str, Any], by_lead: Mapping[str, list[Callback]]
    ) -> Story:
        lead_id = record["lead_id"]
        lead = score = consent = routing = None
        if lead_id is not None:
            lead, score, consent, routing = await asyncio.gather(
                self._get("ingest", f"/v1/leads/{lead_id}"),
                self._get("scoring", f"/v1/leads/{lead_id}/score"),
                self._get("consent", f"/v1/leads/{lead_id}/consent"),
                self._get("routing", f"/v1/leads/{lead_id}/routing"),
            )
        return Story(
            title=delivery.title,
            kind=delivery.kind,
            record_id=record["record_id"],
            nature=record["nature"],
            state=record["state"],
            reason=record["reason"],
            lead_id=lead_id,
            received_at=_instant(record["received_at"]),
            enriched_at=_instant(lead["enriched_at"]) if lead and lead["enriched_at"] else None,
            score=score,
            consent=consent["last_decision"] if consent else None,
            may_contact=bool(consent and consent["may_contact"]),
            routing=routing,
            callbacks=by_lead.get(lead_id or "", ()),
        )

    async def _get(self, service: str, path: str) -> dict[str, Any] | None:
        async with self._gates[service]:
            answer = await self._client.get(self._urls[service] + path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
