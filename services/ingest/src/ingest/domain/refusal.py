"""Why a request body is not acceptable, in terms its sender can act on."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """One offence: the JSON pointer of the place and what is wrong there. Never holds a value of the body."""

    pointer: str
    detail: str


class RefusedBody(ValueError):
    """The body breaks a rule that every sender must keep. ``status`` is 400 (not readable), 413 (too large) or 422."""

    def __init__(self, status: int, code: str, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.refusals = refusals


def refuse(status: int, code: str, pointer: str, detail: str) -> RefusedBody:
    """Return the refusal of one place in the body."""
    return RefusedBody(status, code, (Refusal(pointer, detail),))


def pointer_of(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer (RFC 6901) of *path*; keys longer than 80 characters are cut."""
    return "".join("/" + str(step)[:80].replace("~", "~0").replace("/", "~1") for step in path)
