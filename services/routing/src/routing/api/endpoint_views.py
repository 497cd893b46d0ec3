"""Requests and answers of the endpoint routes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from routing.api.views import NO_CONTROL, Why
from routing.domain.callback_body import CallbackType
from shared.http import Instant, Strict

Url = Annotated[str, StringConstraints(min_length=10, max_length=2000)]
Description = Annotated[str, StringConstraints(max_length=200, pattern=NO_CONTROL)]
Events = Annotated[list[CallbackType], Field(min_length=1, max_length=10)]
Concurrency = Annotated[int, Field(ge=1, le=200)]
ReplayState = Literal["failed", "delivered"]


class NewEndpoint(Strict):
    """``max_concurrency``: callbacks on their way to it at once, per process."""

    url: Url
    events: Events
    description: Description = ""
    max_concurrency: Concurrency = 16


class EndpointChange(Strict):
    """What to change; what is left out stays. ``state`` disabled keeps collecting callbacks without sending them."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    max_concurrency: Concurrency | None = None
    state: Literal["active", "disabled"] | None = None
    why: Why | None = None


class SecretView(BaseModel):
    """A signing secret, without the secret."""

    secret_id: str
    created_at: datetime


class EndpointView(BaseModel):
    """An endpoint. ``disabled_reason``: gone (it answered 410) or person."""

    endpoint_id: str
    url: str
    events: list[str]
    description: str
    max_concurrency: int
    state: str
    disabled_reason: str | None
    secrets: list[SecretView]
    created_at: datetime
    updated_at: datetime


class EndpointWithSecret(EndpointView):
    """``secret``: what the receiver verifies signatures with. Shown this once."""

    secret: str


class ReplayRequest(Strict):
    """Send again what was written in [since, until). By default what was given up; ``delivered`` as well if asked
    for: receivers know the twins by their webhook-id."""

    since: Instant
    until: Instant | None = None
    states: tuple[ReplayState, ...] = Field(default=("failed",), min_length=1, max_length=2)
    why: Why


class ReplayedView(BaseModel):
    """How many callbacks are due again."""

    callbacks: int
