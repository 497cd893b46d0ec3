"""The child process of a job, as the service starts it, with kinds of jobs that only tests know."""

import asyncio
import os
import signal
from typing import Any

from pydantic import Field

from scoring.jobs import __main__, registry
from scoring.jobs.kinds import JobContext, JobKind
from shared.http import Strict


class Asked(Strict):
    number: int = Field(default=0, description="Something.")


async def _double(context: JobContext, asked: Asked) -> dict[str, Any]:
    await context.report(1, 2)
    return {"doubled": 2 * asked.number, "asked_at": context.now.isoformat(), "process": os.getpid()}


async def _hang(context: JobContext, _asked: Asked) -> dict[str, Any]:
    await context.report(1, 100)
    await asyncio.Event().wait()
    return {}


async def _die_once(context: JobContext, asked: Asked) -> dict[str, Any]:
    """Die like a process that ran out of memory, in the first attempt."""
    async with context.database.connection() as sql:
        attempt = await sql.fetchval("SELECT attempt FROM job WHERE job_id = $1", context.job_id)
    if attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"attempt": attempt, "doubled": 2 * asked.number}


DOUBLE = JobKind("double", Asked, _double)
HANG = JobKind("hang", Asked, _hang)
DIE_ONCE = JobKind("die_once", Asked, _die_once)

if __name__ == "__main__":
    for kind in (DOUBLE, HANG, DIE_ONCE):
        registry.KINDS[kind.name] = f"__main__:{kind.name.upper()}"
    __main__.main()
