"""One HTTP attempt: to a checked address, without redirects or proxies, bounded in time and size."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from routing.delivery.schedule import read_retry_after
from routing.delivery.target import AllowList, Target, TargetRefused, check_target, read_target, resolve
from shared.clock import Clock

MAX_RESPONSE_BYTES = 64 * 1024
_CHUNK = 16 * 1024

Outcome = Literal[
    "delivered", "gone", "refused", "redirected", "unavailable", "timeout", "no_connection", "target_refused"
]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt. ``status`` None: there was no answer."""

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta | None = None

    @property
    def is_absence(self) -> bool:
        """Say if the endpoint as a whole seems to be away, not just to dislike this callback."""
        return self.outcome in {"unavailable", "timeout", "no_connection", "target_refused"}


class CallbackClient(Protocol):
    """Sends one callback."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST *body*; return what came of it. Never raises for anything the receiver or the network does."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class _GuardedResolver(AbstractResolver):
    """Gives the connector only addresses that passed the check: what was checked is what is connected to."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - the port's signature; all families are checked
    ) -> list[ResolveResult]:
        # The scheme was checked with the URL; https here so that only the address is judged.
        addresses = await resolve(Target("https", host, port), self._allowed)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class AiohttpClient:
    """`CallbackClient` on one shared session with keep-alive. Must be made inside the event loop."""

    def __init__(self, allowed: AllowList, clock: Clock, *, timeout_seconds: float, connections: int) -> None:
        self._allowed = allowed
        self._clock = clock
        self._checked: set[str] = set()
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(allowed), limit=connections, ttl_dns_cache=30, keepalive_timeout=30
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(5.0, timeout_seconds)),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,  # a small body must not become a large one
            skip_auto_headers=("Accept-Encoding",),
            headers={"User-Agent": "leadrail", "Content-Type": "application/json"},
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """POST *body*; return what came of it."""
        try:
            self._check(url)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await _discard(response)
                return self._judge(response)
        except TimeoutError:
            return Reply("timeout")
        except TargetRefused:
            return Reply("target_refused")
        except aiohttp.ClientConnectorDNSError as error:
            return Reply("target_refused" if isinstance(error.os_error, TargetRefused) else "no_connection")
        except (aiohttp.ClientError, OSError, ValueError):
            return Reply("no_connection")

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        await asyncio.sleep(0)

    def _check(self, url: str) -> None:
        # An address in the URL never reaches the resolver, so it is judged here; the judgement cannot change.
        if url not in self._checked:
            check_target(read_target(url), self._allowed)
            self._checked.add(url)

    def _judge(self, response: aiohttp.ClientResponse) -> Reply:
        status = response.status
        if 200 <= status < 300:
            return Reply("delivered", status)
        retry_after = read_retry_after(response.headers.get("Retry-After"), self._clock.now())
        if 300 <= status < 400:
            return Reply("redirected", status, retry_after)
        if status == 410:
            return Reply("gone", status)
        if status >= 500 or status == 429:
            return Reply("unavailable", status, retry_after)
        return Reply("refused", status, retry_after)


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read the body so that the connection can be used again; give the connection up if the body is too long."""
    length = response.content_length
    if length is not None and length <= MAX_RESPONSE_BYTES:
        await response.read()
        return
    taken = 0
    while taken <= MAX_RESPONSE_BYTES:
        chunk = await response.content.read(_CHUNK)
        if not chunk:
            return
        taken += len(chunk)
    response.close()
