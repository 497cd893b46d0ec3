"""The CRM hears of every assignment and every withdrawal, with the same bytes each time, and of nothing else."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .facts import Evidence, some

ASSIGNMENT_TYPES = {"lead.assigned", "lead.reassigned"}
UNSENT = {"cancelled", "superseded"}  # before it was delivered, the assignment had ended


def assignment_of(callback: dict[str, Any]) -> str:
    """Return the assignment that a received callback is about."""
    data = callback["body"]["data"]
    return str(data.get("assignment_id") or data.get("assignment", {}).get("assignment_id"))


def judge_callbacks(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    contents: dict[str, set[str]] = defaultdict(set)
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    rows = {row["callback_id"]: row for row in evidence.sent}
    owned = {row["assignment_id"]: row for row in evidence.assignments}
    altered = set()
    for one in evidence.received:
        contents[one["id"]].add(one["digest"])
        ids[assignment_of(one), one["body"]["type"]].add(one["id"])
        row = rows.get(one["id"])
        told = (one["digest"], one["body"]["type"], one["body"]["data"]["lead_id"])
        if row is not None and told != (row["digest"], row["event_type"], row["lead_id"]):
            altered.add(one["id"])
    yield from some("callbacks came with different contents", (o for o, bodies in contents.items() if len(bodies) > 1))
    yield from some("callbacks are not what was written", altered)
    yield from some("assignments were told under several ids", (o for (o, _), known in ids.items() if len(known) > 1))
    yield from some("callbacks are about no assignment", {one for one, _ in ids} - set(owned))
    yield from some("callbacks were sent that nobody wrote", set(contents) - set(rows))
    yield from some(
        "callbacks are delivered and never came",
        (name for name, row in rows.items() if row["state"] == "delivered" and name not in contents),
    )
    yield from some(
        "callbacks were given up",
        (name for name, row in rows.items() if row["state"] not in {"delivered", "pending", *UNSENT}),
    )
    yield from _judge_owners_told(evidence, owned, {one for one, _ in ids})
    yield from some(
        "withdrawn assignments were never told",
        (
            name
            for name, row in owned.items()
            if row["end_reason"] == "consent_withdrawn" and not ids.get((name, "consent.withdrawn"))
        ),
    )


def _judge_owners_told(evidence: Evidence, owned: dict[str, Any], told: set[str]) -> Iterator[str]:
    """What the CRM heard names the owner. An assignment that ended before it could be told needs none."""
    yield from some(
        "running assignments are unknown to the CRM",
        (name for name, row in owned.items() if row["ended_at"] is None and name not in told),
    )
    wrong = [
        one["id"]
        for one in evidence.received
        if one["body"]["type"] in ASSIGNMENT_TYPES
        and assignment_of(one) in owned
        and (one["body"]["data"]["lead_id"], one["body"]["data"]["owner"]["rep_id"])
        != (owned[assignment_of(one)]["lead_id"], owned[assignment_of(one)]["rep_id"])
    ]
    yield from some("callbacks name another owner", wrong)
