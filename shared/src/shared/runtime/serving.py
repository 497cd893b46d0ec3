"""Runs a service's duties, and drains them in order when it is told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import TypeVar

import structlog
import uvloop

from shared.logs import configure_logs
from shared.runtime.server import HttpServer
from shared.runtime.service import Runtime, Service, Worker

R = TypeVar("R")
log = structlog.get_logger(module=__name__)


async def serve(service: Service[R], *, stop: asyncio.Event | None = None) -> None:
    """Run *service* until SIGTERM, SIGINT or *stop*; then drain within the configured time."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime: Runtime[R] = Runtime(service)
    await runtime.open()
    http = HttpServer(runtime)
    duties: list[Worker] = [
        *runtime.loops.values(), runtime.timers, *runtime.workers, runtime.upkeep, runtime.relay, runtime.outbox,
    ]  # fmt: skip
    tasks = [asyncio.create_task(duty.run(), name=type(duty).__name__) for duty in duties]
    server = asyncio.create_task(http.run(), name="HttpServer")
    log.info("service_started", port=service.settings.port)
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, server, *tasks], return_when=asyncio.FIRST_COMPLETED)
    runtime.is_draining = True
    failure = next((task.exception() for task in done if task is not stopped and task.exception()), None)
    if failure is not None:
        log.error("duty_crashed", error=type(failure).__name__, exc_info=failure)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.settings.shutdown_seconds):
            await _drain(duties, tasks, http, server)
    stopped.cancel()
    for task in (*tasks, server):
        task.cancel()
    await asyncio.gather(*tasks, server, return_exceptions=True)
    await runtime.close()
    log.info("service_stopped")
    if failure is not None:
        raise SystemExit(1)


async def _drain(
    duties: Sequence[Worker], tasks: Sequence["asyncio.Task[None]"], http: HttpServer, server: "asyncio.Task[None]"
) -> None:
    """Stop taking in, then finish; the outbox last, because everything before it may still emit."""
    await http.drain()
    await asyncio.gather(server, return_exceptions=True)
    for duty, task in zip(duties, tasks, strict=True):
        await duty.drain()
        await asyncio.gather(task, return_exceptions=True)


def run_service(service: Service[R]) -> None:
    """Run *service* in this process until it is told to stop."""
    configure_logs(service.name, service.settings.log_level)
    uvloop.run(serve(service))
