"""Which routes of an application anybody may call. Deny is the default: each must be meant."""

from collections.abc import Iterator, Sequence

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route

from shared.http import RequiredScope


class UnknownRoute(TypeError):
    """A kind of route whose protection cannot be told. Passing over it would make it open unseen."""


def route_scopes(app: FastAPI) -> dict[str, set[str]]:
    """Return ``METHOD path`` → the scopes that the route asks for. Errors: `UnknownRoute`."""
    return {call: set(_scopes(route)) for route in _routes(app.routes) for call in _calls(route)}


def open_routes(app: FastAPI) -> set[str]:
    """Return ``METHOD path`` of every route that no scope protects. Errors: `UnknownRoute`."""
    return {call for call, scopes in route_scopes(app).items() if not scopes}


def _routes(routes: Sequence[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Route):
            yield route
        elif (included := getattr(route, "original_router", None)) is not None:
            # FastAPI keeps an included router as one entry and looks inside only when a request comes.
            yield from _routes(included.routes)
        else:
            raise UnknownRoute(f"{type(route).__name__} {getattr(route, 'path', '')}")


def _calls(route: Route) -> list[str]:
    return [f"{method} {route.path_format}" for method in sorted((route.methods or {"ANY"}) - {"HEAD", "OPTIONS"})]


def _scopes(route: Route) -> list[str]:
    return list(_scopes_of(route.dependant)) if isinstance(route, APIRoute) else []


def _scopes_of(dependant: Dependant) -> Iterator[str]:
    if isinstance(dependant.call, RequiredScope):
        yield dependant.call.scope
    for inner in dependant.dependencies:
        yield from _scopes_of(inner)
