"""Idempotency-Key on routes that create: the same request sent twice creates once and is answered alike."""

import hashlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute

from shared.http.access import find_caller
from shared.http.problem import Problem
from shared.secret_box import SealBroken

REMEMBERED = timedelta(hours=24)
ABANDONED = timedelta(minutes=1)
"""A request that has not answered for so long died with its process: whoever repeats it may try again."""
MAX_KEY = 200

_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of the caller's, new for each request it means. The same key and body within a day: the"
    " first answer again, and nothing is done. Another body: 422. The first is still running: 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
}
_FORGET = "DELETE FROM idempotency WHERE created_at < $1"
_CLAIM = """
    INSERT INTO idempotency AS i (key_id, route, key, fingerprint, created_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key_id, route, key) DO UPDATE
        SET fingerprint = EXCLUDED.fingerprint, created_at = EXCLUDED.created_at
        WHERE i.answer IS NULL AND i.created_at < $6
    RETURNING 1
"""
_FIND = "SELECT fingerprint, answer FROM idempotency WHERE key_id = $1 AND route = $2 AND key = $3"
_KEEP = "UPDATE idempotency SET answer = $4 WHERE key_id = $1 AND route = $2 AND key = $3 AND created_at = $5"
_RELEASE = "DELETE FROM idempotency WHERE key_id = $1 AND route = $2 AND key = $3 AND created_at = $4"


class _Answer(msgspec.Struct, frozen=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class IdempotentRoute(APIRoute):
    """A POST route that honours Idempotency-Key. Refusals are not remembered: a corrected request may use the key.

    Answers are kept sealed, as some show a secret. A key belongs to the API key it came with and to the path.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = dict(options.get("openapi_extra") or {})
        if "POST" in (options.get("methods") or ()) and _HEADER not in extra.get("parameters", ()):
            options["openapi_extra"] = {**extra, "parameters": [*extra.get("parameters", ()), _HEADER]}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, asked at most once per key."""
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            caller = await find_caller(request) if key is not None and request.method == "POST" else None
            if key is None or caller is None:
                return await handle(request)
            body = await request.body()
            attempt = _Attempt(request, caller.key_id, _checked(key), hashlib.sha256(body).digest())
            earlier = await attempt.claim()
            if earlier is not None:
                return earlier
            try:
                response = await handle(request)
            except Exception:
                await attempt.release()
                raise
            await attempt.keep(response)
            return response

        return handle_once


class _Attempt:
    """One request with a key."""

    def __init__(self, request: Request, key_id: str, key: str, fingerprint: bytes) -> None:
        self._runtime = request.app.state.runtime
        self._id = (key_id, request.url.path, key)
        self._fingerprint = fingerprint
        self._now: datetime = self._runtime.clock.now()

    async def claim(self) -> Response | None:
        """Return None if this request is the first of its key, else the first one's answer. Errors: `Problem`."""
        async with self._runtime.database.connection() as sql:
            await sql.execute(_FORGET, self._now - REMEMBERED)
            if await sql.fetchval(_CLAIM, *self._id, self._fingerprint, self._now, self._now - ABANDONED):
                return None
            row = await sql.fetchrow(_FIND, *self._id)
        if row is not None and row["fingerprint"] != self._fingerprint:
            raise Problem(422, "idempotency_conflict", "This Idempotency-Key was used with another body")
        if row is None or row["answer"] is None:
            raise Problem(
                409, "still_running", "The first request with this key is still running", headers={"Retry-After": "1"}
            )
        return self._opened(row["answer"])

    async def keep(self, response: Response) -> None:
        """Remember the answer."""
        answer = _Answer(response.status_code, response.raw_headers, bytes(response.body))
        sealed = self._runtime.secrets.seal(msgspec.msgpack.encode(answer))
        async with self._runtime.database.connection() as sql:
            await sql.execute(_KEEP, *self._id, sealed, self._now)

    async def release(self) -> None:
        """Forget the key: the request was refused."""
        async with self._runtime.database.connection() as sql:
            await sql.execute(_RELEASE, *self._id, self._now)

    def _opened(self, sealed: bytes) -> Response:
        try:
            answer = msgspec.msgpack.decode(self._runtime.secrets.open(sealed), type=_Answer)
        except SealBroken:  # LEADRAIL_SECRET_KEY changed since
            raise Problem(409, "answer_unreadable", "It was done, but its answer can no longer be shown") from None
        response = Response(answer.body, answer.status)
        response.raw_headers = answer.headers
        return response


def _checked(key: str) -> str:
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise Problem(422, "invalid_idempotency_key", f"Idempotency-Key must be 1 to {MAX_KEY} printable ASCII letters")
    return key
