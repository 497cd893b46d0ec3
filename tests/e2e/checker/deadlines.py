"""Each deadline runs once, ends as what happened says, and does not pass unnoticed."""

from collections import defaultdict
from collections.abc import Iterator

from .facts import Evidence, some
from .handling import ASSIGNED, NURTURED, REASSIGNED, RETAINED, SLA_CHANGED, UNASSIGNED, WITHHELD

OWNED = {ASSIGNED, REASSIGNED, RETAINED}


def judge_deadlines(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    clocks = {row["clock_id"]: row for row in evidence.clocks}
    if len(clocks) != len(evidence.clocks):
        yield "clocks run twice"
    yield from some(
        "deadlines passed and nobody noticed",
        (name for name, row in clocks.items() if row["state"] in {"started", "at_risk"} and row["is_overdue"]),
    )
    told: dict[tuple[str, str], set[str]] = defaultdict(set)
    owners: dict[str, set[str | None]] = defaultdict(set)
    owned = {None, *(row["assignment_id"] for row in evidence.assignments)}
    fates: dict[str, set[bool]] = defaultdict(set)
    for event in evidence.firsts():
        if event.type == SLA_CHANGED:
            told[event.body["clock_id"], event.body["state"]].add(event.id)
            owners[event.body["clock_id"]].add(event.body.get("assignment_id"))
        elif event.type in OWNED:
            fates[event.record_id].add(True)
        elif event.type in {NURTURED, WITHHELD, UNASSIGNED}:
            fates[event.record_id].add(False)
    yield from some("changes of clocks were told twice", (f"{o}/{s}" for (o, s), ids in told.items() if len(ids) > 1))
    yield from some("changes were told of clocks that do not exist", {name for name, _ in told} - set(clocks))
    yield from some(
        "clocks were told of under assignments that are not theirs",
        (name for name, found in owners.items() if len(found) > 1 or not found <= owned),
    )
    yield from some("clocks never started", (name for name in clocks if not told[name, "started"]))
    yield from some(
        "clocks are in a state that was not told",
        (name for name, row in clocks.items() if not told[name, row["state"]]),
    )
    yield from some(
        "clocks of a record's assignment are met, or not, against what became of it",
        (
            name
            for name, row in clocks.items()
            if row["stage"] == "assign"
            and row["closed_at"]
            and (row["met_at"] is not None) not in fates[name.removesuffix(".assign")]
        ),
    )
