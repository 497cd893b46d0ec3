"""Rows of the consent ledger, and how events of other services become them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from consent.domain.statements import CHANNELS, PURPOSES, Mark, Relation, Standing, State, Statement, fold, relate
from shared.contracts import ActivityRecorded, LeadScored

EXPIRED: Final = "expired"


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a lead's ledger: a statement, what makes a relation (inquiry, purchase, bounce), or an expiry."""

    lead_id: str
    record_id: str
    state: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    happened_at: datetime
    known_at: datetime
    method: str
    actor: str
    lawful_basis: str = "consent"
    notice_version: str | None = None
    text_shown: str | None = None
    is_double_opt_in: bool = False


def submitted_rows(event: LeadScored, inquiry_sources: frozenset[str], now: datetime) -> list[LedgerRow]:
    """Return what a submission says about consent. Ids follow from the record: a replay finds its own rows."""
    if event.trigger != "submission":
        return []
    origin, actor = event.origin, f"source:{event.origin.source_key}"
    rows = [
        LedgerRow(
            lead_id=event.lead_id,
            record_id=f"{origin.record_id}/{index}",
            state=signal.state,
            purposes=_scope(signal.state, signal.purposes, PURPOSES),
            channels=CHANNELS if signal.state == "refused" else _scope(signal.state, signal.channels, CHANNELS),
            happened_at=min(signal.at, now),
            known_at=now,
            method=signal.method,
            lawful_basis=signal.lawful_basis,
            notice_version=signal.notice_version,
            text_shown=signal.text_shown,
            is_double_opt_in=signal.is_double_opt_in,
            actor=actor,
        )
        for index, signal in enumerate(event.consent)
    ]
    if event.has_gpc:
        rows.append(
            LedgerRow(
                lead_id=event.lead_id,
                record_id=f"{origin.record_id}/gpc",
                state="objected",
                purposes=("sale_share",),
                channels=CHANNELS,
                happened_at=origin.received_at,
                known_at=now,
                method="sec_gpc",
                actor=actor,
            )
        )
    if origin.source_kind in inquiry_sources:
        rows.append(
            relation_row(event.lead_id, f"{origin.record_id}/inquiry", "inquiry", origin.received_at, now, actor)
        )
    return rows


def activity_row(event: ActivityRecorded, now: datetime) -> LedgerRow | None:
    """Return what an activity says about consent, or None. An unsubscribe is a withdrawal, a complaint an objection."""
    actor = f"source:{event.origin.source_key}"
    happened_at = min(event.occurred_at, now)
    match event.kind:
        case "unsubscribe":
            # A CRM or form may say more than that somebody left a mailing list; ingest passes it on in the detail.
            state: State = "objected" if event.detail.get("state") == "objected" else "withdrawn"
            said = "state" in event.detail
            purposes = event.detail.get("purposes", "" if said else "marketing sales_contact").split()
            channels = event.detail.get("channels", "" if said else "email").split()
            return _no(event, state, purposes, channels, happened_at, now, actor)
        case "complaint":
            return _no(event, "objected", PURPOSES, ("email",), happened_at, now, actor)
        case "demo_request" | "won":
            relation: Relation = "inquiry" if event.kind == "demo_request" else "purchase"
            return relation_row(event.lead_id, event.activity_id, relation, happened_at, now, actor)
        case "hard_bounce":
            return relation_row(event.lead_id, event.activity_id, "stop_mail", happened_at, now, actor)
        case _:
            return None


def stopped_channels(row: LedgerRow) -> tuple[str, ...]:
    """Return the channels whose addresses an unsubscribe, complaint or bounce puts on the suppression list.

    Only a "no" to all direct marketing closes an address for everybody who has it. An objection is absolute; a
    withdrawal closes no more than the person's mailbox (a number may be a whole company's).
    """
    if row.state == "stop_mail":
        return ("email",)
    if not {"sales_contact", "marketing"} <= set(row.purposes):
        return ()
    return row.channels if row.state == "objected" else tuple(one for one in row.channels if one == "email")


def ledger_row(row: Mapping[str, Any]) -> LedgerRow:
    """Return the row of the ledger that a database row holds."""
    values = {name: row[name] for name in LedgerRow.__struct_fields__}
    return LedgerRow(**{**values, "purposes": tuple(row["purposes"]), "channels": tuple(row["channels"])})


def relation_row(
    lead_id: str, record_id: str, relation: Relation, happened_at: datetime, known_at: datetime, actor: str
) -> LedgerRow:
    """Return the row that says the person asked or bought."""
    return LedgerRow(
        lead_id=lead_id,
        record_id=record_id,
        state=relation,
        purposes=(),
        channels=(),
        happened_at=happened_at,
        known_at=known_at,
        method="activity",
        lawful_basis="contract",
        actor=actor,
    )


def take_in(standing: Standing, rows: Sequence[LedgerRow]) -> Standing:
    """Return *standing* after *rows*."""
    for row in rows:
        match row.state:
            case "inquiry" | "purchase" | "stop_mail" | "stop_phone":
                standing = relate(standing, row.state, Mark(row.happened_at, row.known_at, row.record_id))
            case "given" | "refused" | "withdrawn" | "objected":
                standing = fold(standing, [_statement(row, row.state)])
            case _:  # an expiry states what time has already done
                continue
    return standing


def _statement(row: LedgerRow, state: State) -> Statement:
    return Statement(
        record_id=row.record_id,
        state=state,
        purposes=row.purposes,
        channels=row.channels,
        happened_at=row.happened_at,
        known_at=row.known_at,
        method=row.method,
        lawful_basis=row.lawful_basis,
        notice_version=row.notice_version,
        text_shown=row.text_shown,
        is_double_opt_in=row.is_double_opt_in,
    )


def _no(
    event: ActivityRecorded,
    state: State,
    purposes: Sequence[str],
    channels: Sequence[str],
    happened_at: datetime,
    now: datetime,
    actor: str,
) -> LedgerRow:
    return LedgerRow(
        lead_id=event.lead_id,
        record_id=event.activity_id,
        state=state,
        purposes=_scope(state, purposes, PURPOSES),
        channels=_scope(state, channels, CHANNELS),
        happened_at=happened_at,
        known_at=now,
        method=event.kind,
        actor=actor,
    )


def _scope(state: str, values: Sequence[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a statement is about: a wide "no", a narrow "yes".

    A word nobody knows can allow nothing; in a "no", or where a "no" names nothing, it stands for everything.
    """
    known = tuple(value for value in allowed if value in values)
    if state == "given":
        return known
    return known if known and len(known) == len(set(values)) else allowed
