"""Every route needs a scope, except the ones that are public on purpose and listed here."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from leadrail_tools.architecture.shape import SERVICES
from leadrail_tools.contracts.access import UnknownRoute, open_routes, route_scopes
from leadrail_tools.contracts.services import application
from shared.access import SCOPES
from shared.http import Principal, require_scope

HEALTH = {"GET /livez", "GET /readyz", "GET /version", "GET /metrics"}
DOCUMENTATION = {"GET /openapi.json", "GET /docs", "GET /docs/oauth2-redirect"}
PUBLIC = {
    "consent": set[str](),
    # The sender's signature or form token is the key; GET answers a sender's handshake.
    "ingest": {"GET /v1/sources/{key}/submissions", "POST /v1/sources/{key}/submissions"},
    "routing": set[str](),
    "scoring": set[str](),
    "sla-monitor": set[str](),
}
every_service = pytest.mark.parametrize("service", SERVICES)


@every_service
def test_every_route_needs_a_scope_except_the_public_ones(service: str) -> None:
    assert open_routes(application(service)) - HEALTH - DOCUMENTATION == PUBLIC[service]


@every_service
def test_every_documented_operation_says_that_it_needs_a_key(service: str) -> None:
    paths = application(service).openapi()["paths"]
    calls = {f"{method.upper()} {path}": call for path, item in paths.items() for method, call in item.items()}
    assert {name for name, call in calls.items() if not call.get("security")} <= PUBLIC[service]


@every_service
def test_the_walk_sees_every_documented_operation(service: str) -> None:
    paths = application(service).openapi()["paths"]
    documented = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert documented <= set(route_scopes(application(service)))


@every_service
def test_every_scope_that_a_route_asks_for_can_be_given(service: str) -> None:
    asked = set[str]().union(*route_scopes(application(service)).values())
    assert asked <= set(SCOPES)


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/open")
    async def nobody_asked() -> None: ...

    @app.get("/listed", dependencies=[require_scope("leads:read")])
    async def listed() -> None: ...

    @app.post("/given")
    async def given(principal: Annotated[Principal, require_scope("admin")]) -> None: ...

    included = APIRouter(prefix="/inner")

    @included.get("/open")
    async def nobody_asked_inside() -> None: ...

    included.routes.append(Route("/raw", endpoint=lambda request: request, methods=["PUT"]))
    app.include_router(included)
    return app


def test_a_planted_route_without_a_scope_is_found(app: FastAPI) -> None:
    assert open_routes(app) == {"GET /open", "GET /inner/open", "PUT /raw"}


def test_a_scope_counts_as_a_dependency_or_as_an_argument(app: FastAPI) -> None:
    asked = {call: scopes for call, scopes in route_scopes(app).items() if scopes}
    assert asked == {"GET /listed": {"leads:read"}, "POST /given": {"admin"}}


def test_a_route_that_cannot_be_judged_is_an_error_and_not_passed_over(app: FastAPI) -> None:
    app.mount("/files", FastAPI())
    with pytest.raises(UnknownRoute, match="/files"):
        open_routes(app)
