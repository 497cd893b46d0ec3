"""The delivery runtime: the one place that keeps the promise that nothing is lost and nothing happens twice."""

from shared.runtime.service import Runtime, Service, Worker
from shared.runtime.serving import run_service
from shared.runtime.work import (
    Consumer,
    DueTimer,
    Handler,
    Handlers,
    Received,
    Retryable,
    TimerHandler,
    TimerHandlers,
    UnitOfWork,
)

__all__ = [
    "Consumer", "DueTimer", "Handler", "Handlers", "Received", "Retryable", "Runtime", "Service", "TimerHandler",
    "TimerHandlers", "UnitOfWork", "Worker", "run_service",
]  # fmt: skip
