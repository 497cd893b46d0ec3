"""The five services as their composition roots declare them, without connecting to anything."""

from importlib import import_module
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from leadrail_tools.architecture.shape import SERVICES, package_of
from shared.runtime import Runtime, Service
from shared.runtime.server import build_app
from shared.settings import ServiceSettings

NOWHERE: dict[str, Any] = {
    "database_url": SecretStr("postgresql://nobody@127.0.0.1:9/nowhere"),
    "secret_key": SecretStr("generates-documents-and-seals-nothing-at-all"),
}


def settings_class(service: str) -> type[ServiceSettings]:
    """Return the settings class that the service's ``settings`` module defines."""
    module = import_module(f"{package_of(service)}.settings")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise LookupError(f"{module.__name__} defines {len(own)} settings classes, one was expected")
    return own[0]


def declared_service(service: str) -> Service[Any]:
    """Return what ``build_service`` of the composition root declares, whatever this machine's environment says."""
    module = import_module(f"{package_of(service)}.__main__")
    built = module.build_service(settings_class(service).model_construct(**NOWHERE))
    if not isinstance(built, Service):
        raise TypeError(f"build_service of {service} returned {type(built).__name__}")
    return built


def application(service: str) -> FastAPI:
    """Return the service's web application. Nothing is connected."""
    runtime: Runtime[Any] = Runtime(declared_service(service))
    return build_app(runtime)


def declared_services() -> dict[str, Service[Any]]:
    return {service: declared_service(service) for service in SERVICES}
