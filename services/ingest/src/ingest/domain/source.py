"""A configured sender: who may post, with what, and what its submissions mean by default."""

from datetime import datetime
from typing import Literal

import msgspec

from ingest.domain.json_guard import Json
from ingest.domain.verification import Headers
from shared.contracts import ActivityKind

EventNature = Literal["lead", "activity", "consent", "test", "ignored"]


class ConsentNotice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The text beside the check box of a form, and what ticking it means. Without it a tick proves nothing."""

    field: str = "consent"
    notice_version: str
    text_shown: str
    purposes: tuple[str, ...] = ("sales_contact",)
    channels: tuple[str, ...] = ("email", "phone")
    lawful_basis: str = "consent"


class SourceDefaults(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is true of every submission of a source unless the submission says otherwise.

    activities: what a submission proves the person did (``("demo_request",)`` for a demo form).
    event_natures: for event senders, event type → nature, where the type's words do not tell.
    """

    campaign: str | None = None
    country: str | None = None
    language: str | None = None
    consent: ConsentNotice | None = None
    activities: tuple[ActivityKind, ...] = ()
    event_natures: dict[str, EventNature] = {}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One source as the door needs it: secrets open, only the active ones."""

    key: str
    kind: str
    name: str = ""
    secrets: tuple[bytes, ...] = ()
    defaults: SourceDefaults = SourceDefaults()
    field_mapping: dict[str, str] = {}
    allowed_origins: frozenset[str] = frozenset()
    honeypot_field: str = "lr_confirm"
    is_suspended: bool = False
    revision: int = 0


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A verified, parsed delivery: all that a mapping may look at. ``proof``: the secret it was
    signed with. ``is_reviewed``: a person replays it by hand.
    """

    payload: Json
    source: Source
    received_at: datetime
    headers: Headers = {}
    proof: bytes = b""
    is_form: bool = False
    is_reviewed: bool = False
