"""The door's place in the OpenAPI document. The server's fast lane answers before these routes are asked."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ingest.door import Door

_TEXT = {"type": "string"}
_POINTED = {"type": "object", "properties": {"pointer": _TEXT, "detail": _TEXT}}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {"type": "array", "items": _POINTED},
        "trace_id": _TEXT,
    },
}
_PROBLEM = {"content": {"application/problem+json": {"schema": _PROBLEM_SCHEMA}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_RECEIPT = {
    "type": "object",
    "required": ["submission_id"],
    "properties": {
        "submission_id": _TEXT,
        "duplicate": {"type": "boolean"},
        "records": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["record_id", "nature"],
                "properties": {
                    "record_id": _TEXT,
                    "nature": {"type": "string", "enum": ["lead", "activity", "ignored", "quarantined"]},
                    "lead_id": _TEXT,
                },
            },
        },
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Durable: our ids, or the answer this kind of sender wants. Also for a repeated delivery.",
        "content": {"application/json": {"schema": {"anyOf": [_RECEIPT, {"type": "object"}]}}},
    },
    400: {"description": "The body cannot be read", **_PROBLEM},
    401: {"description": "The signature does not hold; no reason is given", **_PROBLEM},
    403: {"description": "This site may not post here", **_PROBLEM},
    404: {"description": "No such source", **_PROBLEM},
    408: {"description": "The body took too long", **_PROBLEM},
    413: {"description": "The body is too large", **_PROBLEM},
    415: {"description": "A compressed body, or a content type this kind of sender does not send", **_PROBLEM},
    422: {"description": "Refused content, each place named by JSON pointer; or a reused Idempotency-Key", **_PROBLEM},
    503: {
        "description": "Overloaded, suspended, or the database is away: come again after Retry-After",
        "headers": _RETRY_AFTER,
        **_PROBLEM,
    },
}
_HANDSHAKE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The answer that this kind of sender wants", "content": {"text/plain": {"schema": _TEXT}}},
    400: {"description": "Not a handshake"},
    404: _ANSWERS[404],
    405: {"description": "This kind of sender has no handshake by GET", **_PROBLEM},
    503: _ANSWERS[503],
}
_BODY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key and body: the first answer again. The same key and another body: 422.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "What the sender of this kind posts, as it documents it.",
        "content": {
            "application/json": {"schema": {}},
            "application/cloudevents+json": {"schema": {}},
            "application/cloudevents-batch+json": {"schema": {}},
            "text/plain": {"schema": _TEXT},
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
            "multipart/form-data": {"schema": {"type": "object"}},
        },
    },
}
Key = Annotated[str, Path(description="The source's key.")]


class _ThroughTheDoor(Response):
    """Hands the request on, unread."""

    def __init__(self, door: Door) -> None:
        super().__init__()
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)


def door_routes(door: Door) -> APIRouter:
    """Return the documented routes of the door. They need no key: a source's signature or site key stands for it."""
    router = APIRouter(tags=["door"])
    path = "/v1/sources/{key}/submissions"

    @router.post(path, responses=_ANSWERS, openapi_extra=_BODY, response_class=Response)
    async def submit(key: Key, request: Request) -> Response:  # noqa: ARG001 - the door reads both from the scope
        """Take a delivery in: verified on its raw bytes, stored, then answered. ``Idempotency-Key`` is honoured."""
        return _ThroughTheDoor(door)

    @router.get(path, responses=_HANDSHAKE_ANSWERS, response_class=Response)
    async def shake_hands(key: Key, request: Request) -> Response:  # noqa: ARG001 - as above
        """Answer a sender's handshake, for the kinds that have one."""
        return _ThroughTheDoor(door)

    return router
