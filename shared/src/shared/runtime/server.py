"""The HTTP side of a service: its own routes, the operators' routes, health, metrics."""

import contextlib
import hmac
import ipaddress
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version as distribution_version
from typing import Any

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problem import Problem, on_http_exception, on_invalid_request, on_problem, problem_of
from shared.logs import stack_of
from shared.runtime import metrics
from shared.runtime.failures import is_dependency_failure
from shared.runtime.operations import operations_router
from shared.runtime.service import Runtime
from shared.runtime.tracing import new_traceparent, trace_id_in

log = structlog.get_logger(module=__name__)

RELEASE = distribution_version("leadrail-shared")  # one workspace, one release
PUBLIC_PATHS = ("/livez", "/readyz", "/version", "/metrics", "/openapi.json", "/docs")
"""Need no key. /metrics asks for its own token, or a loopback address."""
MAX_BODY_BYTES = 4 << 20
"""Of any request: the largest document, every character of it escaped. The framework reads a body before it asks for
the key, so without a limit anybody could fill the memory. Ingest's door has a smaller limit of its own."""


def build_app(runtime: Runtime[Any]) -> FastAPI:
    """Return the service's ASGI application, without starting anything."""
    service = runtime.service
    app = FastAPI(
        title=f"Leadrail {service.name}",
        version=RELEASE,
        redoc_url=None,
        docs_url="/docs",
        separate_input_output_schemas=False,
    )
    app.state.runtime = runtime
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.router.routes.extend(_health_routes(runtime))
    if service.build_router is not None:
        app.include_router(service.build_router(runtime))
    app.include_router(operations_router(runtime))
    app.add_middleware(Edge, runtime=runtime)
    return app


class Edge:
    """The outermost layer: a trace id for each request, a count by route, and a problem document for what escaped.

    Refuses what is more than this process may have in hand. While the service drains, every answer tells the client
    to close its connection: one that stays open would be cut later, under a request perhaps.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime[Any]) -> None:
        self._app = app
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        traceparent = new_traceparent(headers.get(b"traceparent"))
        scope["leadrail.traceparent"] = traceparent
        scope["leadrail.trace_id"] = trace_id_in(traceparent)
        status = taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise _too_large()
            return message

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._runtime.is_draining:
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        self._runtime.requests_in_hand += 1
        try:
            if scope["path"] not in PUBLIC_PATHS:
                self._refuse_if_overloaded()
                await self._runtime.turns.take()
            _refuse_at_sight(scope, headers)
            await self._app(scope, limited, observed)
        except Exception as error:  # noqa: BLE001 - the outermost layer: behind it is only the server
            if status:
                # Nothing can be taken back. Returning unfinished makes the server cut the connection: the client
                # sees a broken answer instead of a short one.
                log.error(  # noqa: TRY400 - not the message: it may quote personal data
                    "answer_broken_off", trace_id=scope["leadrail.trace_id"], stack=stack_of(error)
                )
                return
            problem = error if isinstance(error, Problem) else _problem_for(error)
            if problem.status == 500:
                log.error(  # noqa: TRY400 - not the message: it may quote personal data
                    "request_failed",
                    trace_id=scope["leadrail.trace_id"],
                    error=type(error).__name__,
                    stack=stack_of(error),
                )
            await problem.response(scope["leadrail.trace_id"])(scope, receive, observed)
        finally:
            self._runtime.requests_in_hand -= 1
            route = scope.get("route")
            metrics.HTTP_REQUESTS.labels(getattr(route, "path", "unmatched"), str(status)).inc()

    def _refuse_if_overloaded(self) -> None:
        if self._runtime.requests_in_hand > self._runtime.settings.requests_limit:
            metrics.HTTP_SHED.labels("requests").inc()
            raise Problem(503, "overloaded", "Too many requests are in hand", headers={"Retry-After": "1"})


class FastLane:
    """Plain routes that skip the framework: at the door its layers would cost as much as the work (50 µs of 110)."""

    def __init__(self, routes: Sequence[Route], app: ASGIApp, runtime: Runtime[Any]) -> None:
        self._routes = [(route, Edge(route.app, runtime)) for route in routes]
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            for route, edge in self._routes:
                match, found = route.matches(scope)
                if match is not Match.NONE:
                    scope.update(found)
                    scope["route"] = route
                    await edge(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def build_server_app(runtime: Runtime[Any]) -> ASGIApp:
    """Return what the server serves: the fast routes, if the service has any, before the application."""
    routes = runtime.service.build_fast_routes(runtime) if runtime.service.build_fast_routes else ()
    app = build_app(runtime)
    return FastLane(routes, app, runtime) if routes else app


def _refuse_at_sight(scope: Scope, headers: dict[bytes, bytes]) -> None:
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()
    if "\0" in scope["path"]:
        raise Problem(400, "bad_request", "The address holds a NUL character")


def _too_large() -> HTTPException:
    # The framework lets this one through from inside a body; a problem it would turn into "cannot be parsed".
    return HTTPException(413, headers={"Connection": "close"})


def _problem_for(error: Exception) -> Problem:
    if isinstance(error, HTTPException):
        return problem_of(error)
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return Problem(422, "unstorable_text", "A text holds a NUL character, which cannot be kept")
    if isinstance(error, asyncpg.DataError) and isinstance(error.__cause__, OverflowError | UnicodeEncodeError):
        return Problem(422, "unstorable_value", "A value lies outside of what can be kept")
    if is_dependency_failure(error):
        return Problem(503, "dependency_away", "A dependency is away; try again", headers={"Retry-After": "1"})
    return Problem(500, "internal_error", "Something went wrong on our side")


def _health_routes(runtime: Runtime[Any]) -> list[Route]:
    started = time.monotonic()

    async def livez(_request: Request) -> Response:
        return JSONResponse({"status": "alive", "uptime_seconds": round(time.monotonic() - started, 1)})

    async def readyz(_request: Request) -> Response:
        is_ready, parts = await runtime.is_ready()
        return JSONResponse({"status": "ready" if is_ready else "not ready", "parts": parts}, 200 if is_ready else 503)

    async def version(_request: Request) -> Response:
        return JSONResponse({"service": runtime.name, "version": RELEASE})

    async def exposition(request: Request) -> Response:
        if not _may_read_metrics(request, runtime):
            raise Problem(401, "unauthorized", "The metrics token is needed", headers={"WWW-Authenticate": "Bearer"})
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/livez", livez, include_in_schema=False),
        Route("/readyz", readyz, include_in_schema=False),
        Route("/version", version, include_in_schema=False),
        Route("/metrics", exposition, include_in_schema=False),
    ]


def _may_read_metrics(request: Request, runtime: Runtime[Any]) -> bool:
    key = runtime.settings.metrics_key
    if key is not None:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, b"Bearer " + key.get_secret_value().encode())
    if request.client is None or "x-forwarded-for" in request.headers:
        return False  # behind a proxy on this host everybody looks like loopback
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`: it drains the consumers too."""
        yield


class HttpServer:
    """uvicorn in this process's event loop."""

    def __init__(self, runtime: Runtime[Any]) -> None:
        settings = runtime.settings
        self._server = _Server(
            uvicorn.Config(
                build_server_app(runtime),
                host=settings.host,
                port=settings.port,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=5,
                backlog=2_048,
            )
        )

    async def run(self) -> None:
        """Serve until `drain`."""
        try:
            await self._server.serve()
        except SystemExit as error:  # uvicorn exits the process when it cannot bind
            message = f"cannot listen on {self._server.config.host}:{self._server.config.port}"
            raise OSError(message) from error

    async def drain(self) -> None:
        """Stop accepting, finish the requests in hand."""
        self._server.should_exit = True
