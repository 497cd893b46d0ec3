"""Who may call a route: an API key with the route's scope. Deny is the default."""

from typing import Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from shared.access import SCOPES, Principal, find_principal
from shared.http.problem import Problem

_BEARER = HTTPBearer(auto_error=False, description="API key `lr_<id>_<secret>`")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="API key `lr_<id>_<secret>`")


class RequiredScope:
    """A dependency that answers 401 without a valid key and 403 without the scope; gives the `Principal`."""

    def __init__(self, scope: str) -> None:
        if scope not in SCOPES:
            message = f"unknown scope {scope}"
            raise ValueError(message)
        self.scope = scope

    async def __call__(
        self,
        request: Request,
        bearer: HTTPAuthorizationCredentials | None = Depends(_BEARER),
        header: str | None = Depends(_HEADER),
    ) -> Principal:
        """Return the caller. Errors: `Problem` 401, 403."""
        principal = await _principal_of(request, bearer, header)
        if principal is None:
            raise Problem(401, "unauthorized", "A valid API key is needed", headers={"WWW-Authenticate": "Bearer"})
        scope = await self.scope_of(request)
        if not principal.may(scope):
            raise Problem(403, "forbidden", "The API key lacks a scope", detail=f"This call needs {scope}.")
        return principal

    async def scope_of(self, _request: Request) -> str:
        """Return the scope that this request needs: a subclass may look at what it is about."""
        return self.scope


async def find_caller(request: Request) -> Principal | None:
    """Return whose API key *request* carries, None without a valid one."""
    return await _principal_of(request, await _BEARER(request), await _HEADER(request))


async def _principal_of(
    request: Request, bearer: HTTPAuthorizationCredentials | None, header: str | None
) -> Principal | None:
    key = bearer.credentials if bearer is not None else header
    if not key:
        return None
    runtime = request.app.state.runtime
    async with runtime.database.connection() as sql:
        return await find_principal(sql, key, runtime.clock.now())


def require_scope(scope: str) -> Any:
    """Return the dependency that lets only keys with *scope* (or admin) in."""
    return Depends(RequiredScope(scope))
