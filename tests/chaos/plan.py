"""Which faults strike when: drawn from a seed and from nothing else."""

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from .faults import Fault
from .faults_of_kafka import FreezeBroker, KillBroker, Rewind, Twins
from .faults_of_postgres import (
    Deadlocks,
    DiskFull,
    DropConnections,
    FrozenSessions,
    KillPostgres,
    SlowDatabase,
    SqlErrors,
)
from .faults_of_processes import ClockJump, Freeze, FreezeAtPoint, Kill, KillAtPoint, Scale

KINDS: Mapping[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        Kill, KillAtPoint, Freeze, FreezeAtPoint, Scale, ClockJump,
        KillPostgres, DropConnections, SqlErrors, Deadlocks, DiskFull, SlowDatabase, FrozenSessions,
        KillBroker, FreezeBroker, Twins, Rewind,
    )
}  # fmt: skip
MOST_PROMISES_BETWEEN = 30
LONG_SECONDS = (120.0, 180.0)


class Step(NamedTuple):
    """A fault, and when it strikes: after that many more 2xx, and then some milliseconds."""

    promises: int
    seconds: float
    fault: Fault

    def __str__(self) -> str:
        return f"after {self.promises} promises and {self.seconds:.3f} s: {self.fault}"

    def as_json(self) -> dict[str, Any]:
        return {"after_promises": self.promises, "after_seconds": self.seconds, "fault": self.fault.as_json()}


def make_plan(seed: str, faults: int, only: Collection[str] = (), *, is_long: bool = False) -> list[Step]:
    """Return *faults* steps; the same for the same arguments, in every process.

    Kinds are dealt like cards from a deck that holds each as often as its weight: all kinds come, in any order.
    *is_long* begins with a broker that is away for minutes.
    """
    chance = Random(f"chaos/{seed}")  # noqa: S311 - which fault when, no secret
    kinds = [KINDS[name] for name in KINDS if not only or name in only]
    deck: list[type[Fault]] = []
    steps = []
    for _ in range(faults):
        if not deck:
            deck = [kind for kind in kinds for _ in range(kind.weight)]
            chance.shuffle(deck)
        # Often at once with the one before: faults shall overlap.
        promises = chance.choice((0, chance.randint(1, MOST_PROMISES_BETWEEN)))
        steps.append(Step(promises, round(chance.uniform(0, 0.2), 3), deck.pop().draw(chance)))
    if is_long:
        steps[0] = Step(0, 0.0, FreezeBroker(round(chance.uniform(*LONG_SECONDS), 2)))
    return steps


def find_kinds(plans: Sequence[Sequence[Step]]) -> set[str]:
    return {step.fault.kind for plan in plans for step in plan}
