"""Structured logs: one JSON object per line on standard output, with nothing personal in it."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

_EMAIL = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+\.[^\s@\"'<>]+")
_PHONE = re.compile(r"\+\d[\d\s().-]{6,}\d")
_REDACTED = "[redacted]"
MOST_FRAMES = 20
MOST_LINKS = 5


def redact_text(text: str) -> str:
    """Return *text* with everything that looks like an address or an international phone number taken out."""
    if "@" in text:
        text = _EMAIL.sub(_REDACTED, text)
    if "+" in text:
        text = _PHONE.sub(_REDACTED, text)
    return text


def storable(text: str) -> str:
    """Return *text* (of a failure, which may quote data) as operators may read it and Postgres can keep it."""
    return redact_text(text.replace("\0", ""))


def stack_of(error: BaseException) -> str:
    """Return where *error* and its causes were raised, without messages and values: those may be personal data."""
    lines: list[str] = []
    link: BaseException | None = error
    while link is not None and len(lines) < MOST_LINKS:
        frames = traceback.extract_tb(link.__traceback__)[-MOST_FRAMES:]
        lines.append("\n".join([type(link).__name__, *(f"{at.filename}:{at.lineno} in {at.name}" for at in frames)]))
        link = link.__cause__ or link.__context__
    return "\ncaused by ".join(lines)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: the last line of defence. Callers must not log personal data in the first place."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact_text(value)
    return event


def configure_logs(service: str, level: str = "info") -> None:
    """Set up structlog and the standard library's logging for this process."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.ExceptionRenderer(),
                redact,
                structlog.processors.JSONRenderer(),
            ]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def logger(name: str) -> Any:
    """Return the logger of a module."""
    return structlog.get_logger(module=name)
