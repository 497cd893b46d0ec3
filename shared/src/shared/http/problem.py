"""Errors as RFC 9457 problem documents."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPE_BASE = "https://leadrail.dev/problems/"


class Problem(Exception):
    """An answer other than success. ``code`` is stable and names the situation; ``errors`` point into the body."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def response(self, trace_id: str | None = None) -> Response:
        """Return the problem+json response."""
        body: dict[str, Any] = {"type": TYPE_BASE + self.code, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = list(self.errors)
        if trace_id:
            body["trace_id"] = trace_id
        return Response(msgspec.json.encode(body), self.status, self.headers, media_type="application/problem+json")


_TITLES = {
    400: ("bad_request", "The request cannot be read"),
    401: ("unauthorized", "A valid API key is needed"),
    403: ("forbidden", "The API key lacks a scope"),
    404: ("not_found", "Nothing is here"),
    405: ("method_not_allowed", "This method is not allowed here"),
    413: ("body_too_large", "The body is too large"),
}


def trace_id_of(request: Request) -> str | None:
    """Return the trace id that the access layer gave this request."""
    trace_id: str | None = request.scope.get("leadrail.trace_id")
    return trace_id


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a `Problem`."""
    assert isinstance(error, Problem)
    return error.response(trace_id_of(request))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses (no such route, wrong method)."""
    assert isinstance(error, HTTPException)
    return problem_of(error).response(trace_id_of(request))


def problem_of(error: HTTPException) -> Problem:
    """Return the framework's refusal as our kind of answer."""
    code, title = _TITLES.get(error.status_code, ("http_error", "The request was refused"))
    return Problem(error.status_code, code, title, headers=error.headers)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a body, path or query that does not fit its model, naming each field by JSON pointer, never its value."""
    assert isinstance(error, RequestValidationError)
    errors = [{"pointer": _pointer(item["loc"]), "detail": item["msg"]} for item in error.errors()]
    return Problem(422, "invalid_request", "The request does not fit its schema", errors=errors).response(
        trace_id_of(request)
    )


def _pointer(location: Sequence[Any]) -> str:
    where, *rest = location
    path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in rest)
    return path if where == "body" else f"{where}:{path}"
