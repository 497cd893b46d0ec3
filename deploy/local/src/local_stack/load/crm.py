"""A CRM that receives assignment callbacks: verifies every signature, remembers every delivery, can misbehave.

Run as a process of its own: ``python -m local_stack.load.crm --port 0 --secret whsec_… --out callbacks.ndjson``.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from aiohttp import web

from shared.clock import Clock, SystemClock

TOLERANCE_SECONDS = 300


@dataclass
class Callback:
    """One delivery as received."""

    id: str
    received_at: float
    is_verified: bool
    body: dict[str, Any]
    digest: str


@dataclass
class Crm:
    """Accepts callbacks at ``POST /callbacks``; ``GET /callbacks`` tells how many came and were refused."""

    secret: str
    out: TextIO | None = None
    callbacks: list[Callback] = field(default_factory=list)
    refused: int = 0
    clock: Clock = field(default_factory=SystemClock)

    def application(self) -> web.Application:
        """Return the HTTP application."""
        app = web.Application(client_max_size=64 * 1024)
        app.add_routes([web.post("/callbacks", self.receive), web.get("/callbacks", self.report)])
        return app

    async def receive(self, request: web.Request) -> web.Response:
        """Take one callback: 401 if its signature does not hold, 200 if it does (again for a twin)."""
        if not self.secret:
            return web.Response(status=503)  # known only once the endpoint exists: an early callback comes again
        raw = await request.read()
        received_at = self.clock.now().timestamp()
        if not is_signed(raw, request.headers, self.secret, received_at):
            self.refused += 1
            return web.Response(status=401)
        callback = Callback(
            id=request.headers["webhook-id"],
            received_at=received_at,
            is_verified=True,
            body=json.loads(raw),
            digest=hashlib.sha256(raw).hexdigest(),
        )
        self.callbacks.append(callback)
        if self.out is not None:
            row = {"id": callback.id, "at": callback.received_at, "digest": callback.digest, "body": callback.body}
            self.out.write(json.dumps(row) + "\n")
        return web.json_response({"ok": True})

    async def report(self, _request: web.Request) -> web.Response:
        """Tell the counts."""
        if self.out is not None:
            self.out.flush()
        return web.json_response({"received": len(self.callbacks), "refused": self.refused})


def is_signed(raw: bytes, headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Tell whether *raw* carries a Standard Webhooks signature with *secret*, made within five minutes of *now*."""
    try:
        message_id, stamp, given = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        is_fresh = abs(now - int(stamp)) <= TOLERANCE_SECONDS
    except (KeyError, ValueError):
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + raw, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return is_fresh and any(hmac.compare_digest(expected, item) for item in given.split())


async def start_crm(crm: Crm, port: int = 0) -> tuple[web.AppRunner, str]:
    """Serve *crm* on loopback; return the runner (call ``cleanup``) and the callbacks' URL."""
    runner = web.AppRunner(crm.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    host, bound = runner.addresses[0][:2]
    return runner, f"http://{host}:{bound}/callbacks"


async def _serve(port: int, secret: str, out: Path | None) -> None:
    file = out.open("a", buffering=1024 * 1024) if out else None
    runner, url = await start_crm(Crm(secret, file), port)
    print(url, flush=True)  # whoever started us waits for this line
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()
    if file:
        file.close()


def main(
    secret: Annotated[str, typer.Option(help="whsec_… secret of the endpoint.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Append each callback as a line of JSON.")] = None,
) -> None:
    """Receive callbacks until SIGTERM; the first line printed is the URL."""
    asyncio.run(_serve(port, secret, out))


if __name__ == "__main__":
    typer.run(main)
