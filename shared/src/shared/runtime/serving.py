"""Runs a service's duties, and drains them in order when it is told to stop."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import structlog
import uvloop

from shared import failpoints
from shared.logs import configure_logs, stack_of
from shared.runtime.recovery import StillRunning, read_arguments, recover
from shared.runtime.server import HttpServer
from shared.runtime.service import Runtime, Service, Worker
from shared.schema_version import SchemaTooOld

# A statement that is cancelled waits for the server's word; one that hangs gives none until its connection is cut.
# With the closing of the producer (4 s) and the pool (3 s) less than the 30 s after which we would be killed.
CANCEL_SECONDS = 2.0

R = TypeVar("R")
log = structlog.get_logger(module=__name__)


async def serve(service: Service[R], *, stop: asyncio.Event | None = None) -> None:
    """Run *service* until SIGTERM, SIGINT or *stop*; then drain within the configured time."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime: Runtime[R] = Runtime(service)
    if not await _opened(runtime, stop):
        log.info("service_stopped_before_it_started")
        return
    http = HttpServer(runtime)
    # The outbox is drained last, because everything before it may still emit.
    emitting: list[Worker] = [*runtime.loops.values(), runtime.timers, *runtime.workers]
    duties: list[Worker] = [*emitting, runtime.upkeep, runtime.relay, runtime.outbox]
    tasks = [asyncio.create_task(duty.run(), name=type(duty).__name__) for duty in duties]
    server = asyncio.create_task(http.run(), name="HttpServer")
    log.info("service_started", port=service.settings.port)
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, server, *tasks], return_when=asyncio.FIRST_COMPLETED)
    runtime.is_draining = True
    failpoints.reach("shutdown")
    failure = next((task.exception() for task in done if task is not stopped and task.exception()), None)
    if failure is not None:
        log.error("duty_crashed", error=type(failure).__name__, exc_info=failure)
    if stop.is_set():
        # Balancers must notice first: the port closed at once would refuse connections that they still send here.
        await asyncio.wait(
            [server, *tasks], timeout=service.settings.turn_away_seconds, return_when=asyncio.FIRST_COMPLETED
        )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.settings.shutdown_seconds):
            await http.drain()
            await asyncio.wait([server])
            await _drain(emitting, tasks[: len(emitting)])
            for duty, task in zip(duties[len(emitting) :], tasks[len(emitting) :], strict=True):
                await _drain([duty], [task])
    stopped.cancel()
    for task in (*tasks, server):
        task.cancel()
    ended, _ = await asyncio.wait([*tasks, server], timeout=CANCEL_SECONDS)
    for task in ended:
        error = None if task.cancelled() else task.exception()
        if error is not None and error is not failure:
            log.error("duty_failed_while_draining", duty=task.get_name(), stack=stack_of(error))
    await runtime.close()
    log.info("service_stopped")
    if failure is not None:
        raise SystemExit(1)


async def _opened(runtime: Runtime[Any], stop: asyncio.Event) -> bool:
    """Open *runtime*, which waits for Postgres however long it is away; return False if told to stop before."""
    opening, stopped = asyncio.create_task(runtime.open()), asyncio.create_task(stop.wait())
    await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if opening.done():
        try:
            opening.result()
        except SchemaTooOld as error:
            await runtime.close()
            raise SystemExit(str(error)) from None
        return True
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await runtime.close()
    return False


async def _drain(duties: Sequence[Worker], tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Tell all, then wait for all: one that waits for an absent dependency must not use up the others' time."""
    for duty in duties:
        await duty.drain()
    failpoints.reach("shutdown")
    if tasks:
        await asyncio.wait(tasks)  # not gather: cancelled, it would wait for every task to end


def run_service(service: Service[R]) -> None:
    """Run *service* in this process until it is told to stop; or, on the command line ``recover``, recover it."""
    since = read_arguments(service.name, sys.argv[1:])
    configure_logs(service.name, service.settings.log_level)
    if since is not None:
        try:
            asyncio.run(recover(service, since))
        except StillRunning as error:
            raise SystemExit(str(error)) from None
        return
    try:
        failpoints.arm(os.environ)
    except failpoints.FailpointsInvalid as error:
        raise SystemExit(str(error)) from None
    # What is loaded by now stays for good; and a batch of 500 events must not be looked through for garbage 700
    # allocations apart: at the default threshold collection takes 4 to 6 % of a busy service.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    uvloop.run(serve(service))
