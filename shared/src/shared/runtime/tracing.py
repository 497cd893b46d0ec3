"""W3C trace context: one trace id from the HTTP request through every topic to the callback."""

import re
import secrets

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def new_traceparent(incoming: bytes | None = None) -> str:
    """Return a traceparent with a new span id, in the incoming trace if there is a valid one."""
    match = _TRACEPARENT.fullmatch(incoming) if incoming else None
    trace_id = match.group(1).decode() if match else secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


def valid_traceparent(incoming: bytes | None) -> str:
    """Return *incoming* as text, or nothing if it is no traceparent: it is kept in tables and sent on."""
    return incoming.decode() if incoming and _TRACEPARENT.fullmatch(incoming) else ""


def trace_id_in(traceparent: str) -> str:
    """Return the trace id."""
    return traceparent[3:35]
