"""Cursor pagination: opaque cursors over the sort key of the last row."""

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel, ConfigDict

from shared.http.problem import Problem

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="Most items on this page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]


class Strict(BaseModel):
    """Base of request models: an unknown field is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """One page of a list. ``next_cursor`` is null on the last page."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(*values: str) -> str:
    """Return an opaque cursor for the sort key of the last row of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode_cursor(text: str, *, size: int) -> tuple[str, ...]:
    """Return the *size* values of a cursor. Errors: `Problem` 422 for a cursor that is not ours."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        values = msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        values = []
    if len(values) != size:
        raise invalid_cursor()
    return tuple(values)


def invalid_cursor() -> Problem:
    """Return the answer to a cursor that was not made by this list."""
    return Problem(422, "invalid_cursor", "This cursor was not made by this list", errors=[
        {"pointer": "query:/cursor", "detail": "use next_cursor of the page before"}
    ])  # fmt: skip
