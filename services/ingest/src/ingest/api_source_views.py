"""What the source routes take and show. A secret is in exactly one of them: the answer to the request that made it."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import BaseModel, Field, field_validator

from ingest.domain.source import EventNature, SourceDefaults
from ingest.repository_sources import StoredSource
from shared.contracts import ActivityKind
from shared.http import Strict

KEY_PATTERN = r"^[a-z0-9][a-z0-9_-]{2,62}$"
_ORIGIN = re.compile(r"(https?://)?[a-z0-9.-]+(:\d{1,5})?")
_Text = Annotated[str, Field(min_length=1, max_length=300)]


class ConsentNoticeModel(Strict):
    """The check box's text and what a tick grants."""

    field: str = Field(default="consent", min_length=1, max_length=100)
    notice_version: str = Field(min_length=1, max_length=60)
    text_shown: str = Field(min_length=1, max_length=4_000)
    purposes: tuple[Literal["sales_contact", "marketing", "profiling", "sale_share"], ...] = ("sales_contact",)
    channels: tuple[Literal["email", "phone", "sms"], ...] = ("email", "phone")
    lawful_basis: str = Field(default="consent", max_length=60)


class DefaultsModel(Strict):
    """What is true of every submission unless it says otherwise."""

    campaign: _Text | None = None
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    language: Annotated[str, Field(max_length=20)] | None = None
    consent: ConsentNoticeModel | None = None
    activities: tuple[ActivityKind, ...] = ()
    event_natures: dict[str, EventNature] = Field(default_factory=dict, max_length=100)

    def to_domain(self) -> SourceDefaults:
        return msgspec.convert(self.model_dump(exclude_none=True), SourceDefaults)


class _SourceFields(Strict):
    name: str = Field(default="", max_length=100)
    defaults: DefaultsModel = DefaultsModel()
    field_mapping: dict[_Text, _Text] = Field(default_factory=dict, max_length=200)
    allowed_origins: list[str] = Field(default_factory=list, max_length=50)
    honeypot_field: str = Field(default="lr_confirm", min_length=1, max_length=100)
    why: str | None = Field(default=None, max_length=300, description="Why; goes into the audit.")

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if origin == "null" or not _ORIGIN.fullmatch(origin):  # null: any sandboxed frame, of any site
                raise ValueError("an origin is scheme://host[:port] in lower case (CloudEvents: a host name)")
        return origins


class SourceCreate(_SourceFields):
    """A new source. ``key``: made unguessable if left out. ``secret``: the sender's own, or one is made."""

    kind: str = Field(max_length=40, description="One of the kinds of senders.")
    key: str | None = Field(default=None, pattern=KEY_PATTERN)
    secret: str | None = Field(default=None, min_length=8, max_length=500)


class SourceChange(_SourceFields):
    """Only the fields that are sent change. ``is_suspended``: deliveries get 503 and come again later."""

    is_suspended: bool = False


class SecretAdd(Strict):
    """A further secret. The earlier ones stay valid, or expire after ``retire_others_after_seconds``."""

    secret: str | None = Field(default=None, min_length=8, max_length=500)
    retire_others_after_seconds: int | None = Field(default=None, ge=0, le=90 * 86_400)
    why: str | None = Field(default=None, max_length=300)


class SecretView(BaseModel):
    """That a secret exists; never the secret."""

    secret_id: str
    created_at: datetime
    expires_at: datetime | None


class SourceView(BaseModel):
    """A source without its secrets."""

    key: str
    kind: str
    name: str
    submissions_path: str
    secrets: list[SecretView]
    defaults: dict[str, Any]
    field_mapping: dict[str, str]
    allowed_origins: list[str]
    honeypot_field: str
    is_suspended: bool
    revision: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: StoredSource) -> Self:
        return cls(
            **{name: getattr(stored, name) for name in _PLAIN_FIELDS},
            submissions_path=f"/v1/sources/{stored.key}/submissions",
            secrets=[
                SecretView(secret_id=secret.secret_id, created_at=secret.created_at, expires_at=secret.expires_at)
                for secret in stored.secrets
            ],
            defaults=msgspec.to_builtins(stored.defaults),
            allowed_origins=list(stored.allowed_origins),
        )


_PLAIN_FIELDS = (
    "key", "kind", "name", "field_mapping", "honeypot_field", "is_suspended", "revision", "created_at", "updated_at",
)  # fmt: skip


class SourceWithSecret(SourceView):
    """A source and the secret just made or accepted: the only time it is shown."""

    secret: str | None
