"""Each lead has at most one owner, the one that the latest decision says, announced once; its records say the same."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from .facts import Evidence, Promise, Row, Seen, by_lead, some
from .handling import (
    ASSIGNED,
    CAPTURED,
    CLEARED,
    ENRICHED,
    NURTURED,
    REASSIGNED,
    RELEASED,
    RETAINED,
    SCORED,
    UNASSIGNED,
    WITHHELD,
)

STATE_OF = {
    ASSIGNED: "assigned",
    REASSIGNED: "assigned",
    RETAINED: "assigned",
    UNASSIGNED: "unassigned",
    NURTURED: "nurtured",
    WITHHELD: "withheld",
}
ROUTED = {ASSIGNED, REASSIGNED, RETAINED, UNASSIGNED, NURTURED}
WITHDRAWN = "consent_withdrawn"
OUTCOME_OF = {
    "assigned": ASSIGNED,
    "reassigned": REASSIGNED,
    "retained": RETAINED,
    "nurtured": NURTURED,
    "fallback_queue": UNASSIGNED,
    "held": WITHDRAWN,
}
# What each event causes at its consumer: exactly one event of these.
OUTCOMES = {
    CAPTURED: ("ingest-enrich", {ENRICHED}),
    ENRICHED: ("scoring", {SCORED}),
    SCORED: ("consent", {CLEARED, WITHHELD}),
    CLEARED: ("routing", ROUTED),
}
# A record's way: each topic carries one event about it, in the order in which its lead's records came.
# What a decision takes over from what caused it, where it says it at all.
CARRIED = {
    CAPTURED: ("origin", "consent", "activities", "has_gpc"),
    ENRICHED: ("origin", "lead", "facts", "consent", "has_gpc"),
    SCORED: ("origin", "lead", "facts", "score", "trigger"),
    CLEARED: ("origin", "lead", "facts", "score", "verdict"),
}
WAY = ("leads.captured", "leads.enriched", "leads.scored", "leads.consented", "leads.routed")


def judge_decisions(promises: Sequence[Promise], evidence: Evidence) -> Iterator[str]:
    """Each event of a lead's way has one outcome, and each record is in the state of the latest event about it."""
    yield from _judge_outcomes(evidence)
    states: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for event in evidence.firsts():
        if event.type in STATE_OF:
            states[event.record_id].append((_time_of(event), state_of(event)))
    rows = {row["record_id"]: row for row in evidence.records}
    wanted = {promise.record_id for promise in promises if promise.nature == "lead"}
    wanted |= {row["record_id"] for row in evidence.records if row["nature"] == "lead"}
    parked = {name for name, row in rows.items() if row["state"] == "parked"}
    yield from some("records have no decision", (one for one in wanted - parked if not states[one]))
    yield from some(
        "records are in another state than their decision says",
        (
            f"{one} ({rows[one]['state']})"
            for one in wanted
            if one in rows and states[one] and rows[one]["state"] not in {*_latest(states[one]), "in_flight"}
        ),
    )
    yield from some("records are parked and decided", (one for one in parked if states[one]))
    yield from some("decisions are about records nobody sent", (one for one in states if one not in rows))
    yield from _judge_last_records(evidence)


def state_of(event: Seen) -> str:
    return "withheld" if event.body.get("reason") == WITHDRAWN else STATE_OF[event.type]


def _time_of(event: Seen) -> datetime:
    return datetime.fromisoformat(dict(event.headers)["ce_time"].decode())


def _latest(states: Sequence[tuple[datetime, str]]) -> set[str]:
    newest = max(at for at, _ in states)
    return {state for at, state in states if at == newest}


def _judge_outcomes(evidence: Evidence) -> Iterator[str]:
    emitted = evidence.emitted_by()
    events = {event.id: event for event in evidence.firsts()}
    skipped = {
        (event.body["consumer"], event.key)
        for event in events.values()
        if event.type == RELEASED and event.body["outcome"] == "skipped"
    }
    none, several, strange = [], [], []
    for event in events.values():
        consumer, wanted = OUTCOMES.get(event.type, ("", set()))
        if (consumer, event.id) not in emitted:
            continue
        outcomes = [out for out in emitted[consumer, event.id] if out.type in wanted]
        if not outcomes and (consumer, event.key) not in skipped:
            none.append(event.id)
        if len(outcomes) > 1:
            several.append(event.id)
        strange += [
            out.id
            for out in outcomes
            if out.key != event.key or (out.id in events and _has_altered(event, events[out.id]))
        ]
    yield from some("events led to no decision", none)
    yield from some("events led to several decisions", several)
    yield from some("decisions say other things than what caused them", strange)


def _has_altered(cause: Seen, outcome: Seen) -> bool:
    return any(
        name in outcome.body and _meaning(outcome.body[name]) != _meaning(cause.body.get(name))
        for name in CARRIED[cause.type]
    )


def _meaning(value: Any) -> Any:
    """Return *value* without what says nothing: a writer may leave a default out, or spell it."""
    if isinstance(value, dict):
        return {name: _meaning(one) for name, one in value.items() if one not in (None, "unknown", False, [], {})}
    return value or None


def _judge_last_records(evidence: Evidence) -> Iterator[str]:
    """A lead's newest record is assigned if, and only if, the lead has an owner."""
    newest: dict[str, Row] = {}
    for row in sorted(evidence.records, key=lambda row: str(row["record_id"])):
        if row["nature"] == "lead" and row["state"] != "in_flight":
            newest[row["lead_id"]] = row
    running = {row["lead_id"] for row in evidence.assignments if row["ended_at"] is None}
    assigned = {lead_id for lead_id, row in newest.items() if row["state"] == "assigned"}
    waiting = {lead_id for lead_id, row in newest.items() if row["state"] == "parked"}
    yield from some("leads are counted as assigned and have no owner", assigned - running)
    yield from some("leads have an owner and are not counted as assigned", running - assigned - waiting)


def judge_owners(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    running = Counter(row["lead_id"] for row in evidence.assignments if row["ended_at"] is None)
    yield from some("leads have two owners", (one for one, times in running.items() if times > 1))
    wrong: dict[str, set[str]] = defaultdict(set)
    decided = by_lead(evidence.routings)
    for lead_id, owned in by_lead(evidence.assignments).items():
        for fault in _find_breaks(owned, decided.pop(lead_id, [])):
            wrong[fault].add(lead_id)
    for lead_id, decisions in decided.items():
        if any(row["outcome"] in {"assigned", "reassigned", "retained"} for row in decisions):
            wrong["leads have no owner where a decision says so"].add(lead_id)
    for fault, leads in wrong.items():
        yield from some(fault, leads)
    yield from _judge_routings(evidence)
    yield from _judge_permission(evidence, running)
    yield from _judge_announcements(evidence)
    yield from _judge_endings(evidence)


def _find_breaks(owned: Sequence[Row], decisions: Sequence[Row]) -> Iterator[str]:
    """An owner follows a decision, and the next one the last: moved by a decision, or after a withdrawal."""
    gave = {row["decision_id"]: row["outcome"] for row in decisions if row["outcome"] in {"assigned", "reassigned"}}
    by_decision = Counter(row["decision_id"] for row in owned)
    if set(by_decision) != set(gave):
        yield "leads have owners and decisions that do not match"
    if max(by_decision.values()) > 1:
        yield "leads have several owners by one decision"
    before: Row | None = None
    for row in owned:
        is_move = gave.get(row["decision_id"]) == "reassigned"
        was_taken = before is not None and before["end_reason"] not in {None, WITHDRAWN}
        if is_move is not was_taken or (before is not None and before["ended_at"] is None):
            yield "leads have several assignments that do not follow each other"
        before = row
    if before is not None and before["ended_at"] is not None and before["end_reason"] != WITHDRAWN:
        yield "leads have lost their owner"
    last = decisions[-1]["outcome"] if decisions else ""
    has_owner = before is not None and before["ended_at"] is None
    was_withdrawn = before is not None and before["end_reason"] == WITHDRAWN
    if last in {"assigned", "reassigned", "retained"} and not has_owner and not was_withdrawn:
        yield "leads have no owner where a decision says so"
    if last in {"fallback_queue", "nurtured", "held"} and has_owner:
        yield "leads have an owner where a decision says that nobody gets them"


def _judge_routings(evidence: Evidence) -> Iterator[str]:
    """Each decision of routing is one event, and each event but a withdrawal one decision."""
    decided = Counter((row["lead_id"], OUTCOME_OF.get(row["outcome"], "unknown")) for row in evidence.routings)
    # Nobody else to move the lead to: it stays, and nothing happened that others have to know.
    stayed = Counter(
        row["lead_id"]
        for row in evidence.routings
        if row["outcome"] == "retained" and row["trace"]["settled_by"] != "existing_owner"
    )
    told = Counter((event.key, _outcome_of(event)) for event in evidence.firsts() if event.type in ROUTED)
    decided -= Counter({(lead_id, RETAINED): number for lead_id, number in stayed.items()})
    for key in [key for key in (*told, *decided) if key[1] == WITHDRAWN]:  # most are no decision of routing's
        told[key] = decided[key] = 0
    yield from some("leads have decisions of routing that were not told so", {one for one, _ in decided - told})
    yield from some("leads have outcomes of routing that nobody decided", {one for one, _ in told - decided})


def _outcome_of(event: Seen) -> str:
    return WITHDRAWN if event.body.get("reason") == WITHDRAWN else event.type


def _judge_permission(evidence: Evidence, running: Counter[str]) -> Iterator[str]:
    last = {row["lead_id"]: row for row in evidence.verdicts}
    yield from some(
        "leads have an owner and may not be contacted",
        (
            lead_id
            for lead_id, row in last.items()
            if running[lead_id] and not any(one["is_allowed"] for one in row["channels"].values())
        ),
    )


def _judge_announcements(evidence: Evidence) -> Iterator[str]:
    rows = {row["assignment_id"]: row for row in evidence.assignments}
    allowed = {
        row["decision_id"] for row in evidence.verdicts if any(one["is_allowed"] for one in row["channels"].values())
    }
    announced: dict[str, set[str]] = defaultdict(set)
    altered, forbidden = [], []
    for event in evidence.firsts():
        if event.type not in {ASSIGNED, REASSIGNED}:
            continue
        owner = event.body["owner"]
        announced[owner["assignment_id"]].add(event.id)
        row = rows.get(owner["assignment_id"])
        if row is not None and (row["lead_id"], row["rep_id"]) != (event.key, owner["rep_id"]):
            altered.append(event.id)
        if event.body["verdict"]["decision_id"] not in allowed:
            forbidden.append(event.id)
    yield from some("assignments were not announced", (one for one in rows if not announced[one]))
    yield from some("assignments were announced as several events", (o for o, ids in announced.items() if len(ids) > 1))
    yield from some("announced assignments do not exist", set(announced) - set(rows))
    yield from some("announcements name another owner", altered)
    yield from some("leads were assigned without a consent decision that allows it", forbidden)


def _judge_endings(evidence: Evidence) -> Iterator[str]:
    """A withdrawal that ended an assignment is announced once."""
    ended = {row["assignment_id"] for row in evidence.assignments if row["end_reason"] == WITHDRAWN}
    told = Counter(
        event.body.get("previous_assignment_id")
        for event in evidence.firsts()
        if event.type == UNASSIGNED and event.body.get("reason") == WITHDRAWN
    )
    yield from some("withdrawn assignments were not announced once", (one for one in ended if told[one] != 1))
    yield from some(
        "assignments were announced as withdrawn and are not", (one for one in told if one and one not in ended)
    )


def judge_order(evidence: Evidence) -> Iterator[str]:
    """The records of one lead pass every topic in the order in which they came; twins of old events are no matter."""
    orders: dict[str, dict[str, dict[str, None]]] = {topic: defaultdict(dict) for topic in WAY}
    for event in evidence.firsts():
        if event.topic in orders and event.record_id:
            orders[event.topic][event.key].setdefault(event.record_id)
    for topic in WAY[1:]:
        yield from some(
            f"leads have their records in another order on {topic}",
            (
                lead_id
                for lead_id, order in orders[topic].items()
                if list(order) != [one for one in orders["leads.captured"][lead_id] if one in order]
            ),
        )
