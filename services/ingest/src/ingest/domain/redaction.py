"""The shape of a payload without its content: enough to correct a mapping, too little to identify anybody."""

from typing import Final

from ingest.domain.json_guard import Json

MAX_MEMBERS: Final = 100
MAX_SHAPE: Final = 60
_MAX_DEPTH: Final = 8


def redact(value: Json, depth: int = 0) -> Json:
    """Return *value* with keys kept and every text replaced by its shape (``xxxx@xxxx.xxx``, ``+00 000``)."""
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {_short(key): redact(member, depth + 1) for key, member in list(value.items())[:MAX_MEMBERS]}
    if isinstance(value, list):
        return [redact(member, depth + 1) for member in value[:MAX_MEMBERS]]
    if isinstance(value, str):
        return shape_of(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0
    return value


def shape_of(text: str) -> str:
    """Return *text* with letters as ``x``, digits as ``0``, spaces and signs as they are; cut after 60 characters."""
    shape = "".join(
        "x" if character.isalpha() else "0" if character.isalnum() else character if character.isprintable() else "?"
        for character in text[:MAX_SHAPE]
    )
    return shape + ("…" if len(text) > MAX_SHAPE else "")


def _short(key: str) -> str:
    """Keep a key of ordinary length; a longer one, or one with an @, may hold what somebody typed."""
    return key if len(key) <= MAX_SHAPE and "@" not in key else shape_of(key)
