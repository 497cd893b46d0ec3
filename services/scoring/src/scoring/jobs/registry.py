"""Every kind of job there is, by name. Named here and imported only by the process that runs one: what they need
(numpy, scikit-learn) is 150 MB that a service has no use for."""

from importlib import import_module
from typing import Any, Final

from scoring.jobs.kinds import JobKind

KINDS: Final[dict[str, str]] = {
    "plan": "scoring.planning.kind:PLAN",
    "backtest": "scoring.backtest.kind:BACKTEST_KIND",
    "training": "scoring.prediction.training:KIND",
    "ranking": "scoring.prediction.ranking:KIND",
}
"""Name of the kind -> ``module:attribute`` of its `JobKind`."""

STARTED_BY_SCOPE: Final[dict[str, str]] = {"ranking": "config:apply"}
"""Name of the kind -> the scope that starts it, and so is needed to cancel it, if that is not ``config:plan``."""


class UnknownKind(LookupError):
    """This release has no such kind of job."""


def get_kind(name: str) -> JobKind[Any]:
    """Return the kind called *name*, importing it. Errors: `UnknownKind`."""
    if name not in KINDS:
        raise UnknownKind(name)
    module, _, attribute = KINDS[name].partition(":")
    kind: JobKind[Any] = getattr(import_module(module), attribute)
    return kind
